<?php

namespace App\Http\Controllers;

use Illuminate\Http\JsonResponse;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Redis;
use Throwable;

class HealthController
{
    public function ready(): JsonResponse
    {
        $checks = [
            'database' => $this->answers(fn () => DB::select('select 1')),
            'redis' => $this->answers(fn () => Redis::connection()->ping()),
        ];
        $ok = ! in_array(false, $checks, true);

        return new JsonResponse(['status' => $ok ? 'ok' : 'failed', 'checks' => $checks], $ok ? 200 : 503);
    }

    public function live(): JsonResponse
    {
        return new JsonResponse(['status' => 'ok']);
    }

    public function basic(): JsonResponse
    {
        return new JsonResponse(['status' => 'ok', 'version' => config('app.version')]);
    }

    private function answers(callable $check): bool
    {
        try {
            $check();

            return true;
        } catch (Throwable $error) {
            report($error);

            return false;
        }
    }
}
