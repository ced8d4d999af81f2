<?php

namespace App\Console\Commands;

use Illuminate\Console\Command;

class Heartbeat extends Command
{
    protected $signature = 'chom:heartbeat';

    protected $description = 'Record that the scheduler is alive';

    public function handle(): int
    {
        $beat = ['at' => now()->toIso8601String(), 'version' => config('app.version')];
        file_put_contents(storage_path('app/heartbeat.json'), json_encode($beat) . "\n");

        return self::SUCCESS;
    }
}
