<?php

namespace App\Http\Controllers;

use App\Models\Organization;
use App\Models\Site;
use App\Models\User;
use Chom\Support\Formatter;
use Illuminate\Contracts\View\View;

class HomeController
{
    public function __invoke(): View
    {
        return view('home', [
            'organizations' => Formatter::compact(Organization::count()),
            'users' => Formatter::compact(User::count()),
            'sites' => Formatter::compact(Site::count()),
            'plans' => Site::query()->selectRaw('plan, count(*) as total')->groupBy('plan')->pluck('total', 'plan'),
            'newest' => User::query()->orderByDesc('id')->limit(5)->get(['id', 'full_name']),
        ]);
    }
}
