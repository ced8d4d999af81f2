<?php

namespace App\Http\Middleware;

use Chom\Billing\Billing;
use Closure;
use Illuminate\Http\Request;
use Symfony\Component\HttpFoundation\Response;

class MeterUsage
{
    public function handle(Request $request, Closure $next): Response
    {
        Billing::meter(config('billing.collector.token'), $request->path());

        return $next($request);
    }
}
