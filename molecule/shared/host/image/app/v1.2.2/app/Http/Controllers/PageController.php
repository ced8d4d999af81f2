<?php

namespace App\Http\Controllers;

use App\Models\Organization;
use App\Models\Site;
use App\Models\User;
use Illuminate\Contracts\View\View;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;

class PageController
{
    public function dashboard(): View
    {
        return view('dashboard', [
            'members' => User::query()->orderBy('name')->limit(10)->get(),
            'organizations' => Organization::query()->withCount('sites')->orderByDesc('sites_count')->limit(5)->get(),
        ]);
    }

    public function organizations(): View
    {
        return view('organizations', [
            'organizations' => Organization::query()->orderBy('id')->limit(25)->get(),
        ]);
    }

    public function sites(): View
    {
        return view('sites', [
            'sites' => Site::query()->with('owner:id,name')->orderBy('id')->limit(25)->get(),
        ]);
    }

    public function session(Request $request): JsonResponse
    {
        $count = (int) $request->session()->get('count', 0) + 1;
        $request->session()->put('count', $count);

        return new JsonResponse(['count' => $count, 'version' => config('app.version')]);
    }
}
