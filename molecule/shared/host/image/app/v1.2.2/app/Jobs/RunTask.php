<?php

namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use Illuminate\Support\Facades\DB;

class RunTask implements ShouldQueue
{
    use Dispatchable;
    use InteractsWithQueue;
    use Queueable;

    public function __construct(
        public readonly string $kind,
        public readonly string $subject,
        public readonly float $sleep = 0.0,
    ) {
    }

    public function handle(): void
    {
        usleep((int) ($this->sleep * 1_000_000));
        DB::table('processed_jobs')->insert([
            'queue' => $this->queue ?? 'default',
            'kind' => $this->kind,
            'subject' => $this->subject,
            'version' => config('app.version'),
            'processed_at' => now(),
        ]);
    }
}
