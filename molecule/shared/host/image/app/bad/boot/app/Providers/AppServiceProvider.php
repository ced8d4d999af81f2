<?php

namespace App\Providers;

use Illuminate\Support\ServiceProvider;
use RuntimeException;

class AppServiceProvider extends ServiceProvider
{
    public function register(): void
    {
    }

    public function boot(): void
    {
        if (config('services.vps.token') === null) {
            throw new RuntimeException('missing setting services.vps.token');
        }
    }
}
