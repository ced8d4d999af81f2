<?php

namespace App\Console\Commands;

use Illuminate\Console\Command;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Redis;

class Status extends Command
{
    private const QUEUES = ['worker', 'default', 'emails', 'notifications', 'reports'];

    private const TABLES = ['organizations', 'users', 'sites', 'processed_jobs', 'failed_jobs'];

    protected $signature = 'chom:status';

    protected $description = 'Print queue lengths, row counts and the version as JSON';

    public function handle(): int
    {
        $redis = Redis::connection();
        $queues = [];
        foreach (self::QUEUES as $queue) {
            $queues[$queue] = [
                'waiting' => (int) $redis->llen("queues:{$queue}"),
                'delayed' => (int) $redis->zcard("queues:{$queue}:delayed"),
                'reserved' => (int) $redis->zcard("queues:{$queue}:reserved"),
            ];
        }
        $rows = [];
        foreach (self::TABLES as $table) {
            $rows[$table] = DB::table($table)->count();
        }
        $this->line(json_encode([
            'version' => config('app.version'),
            'queues' => $queues,
            'waiting' => array_sum(array_column($queues, 'waiting')),
            'delayed' => array_sum(array_column($queues, 'delayed')),
            'reserved' => array_sum(array_column($queues, 'reserved')),
            'sessions' => count($redis->keys(config('cache.prefix') . '*')),
            'rows' => $rows,
        ]));

        return self::SUCCESS;
    }
}
