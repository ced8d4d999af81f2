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
            'organizations' => Formatter::short(Organization::count()),
            'users' => Formatter::short(User::count()),
            'sites' => Formatter::short(Site::count()),
            'newest' => User::query()->orderByDesc('id')->limit(5)->get(['id', 'name']),
        ]);
    }
}
