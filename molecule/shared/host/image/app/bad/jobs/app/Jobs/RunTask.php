<?php

namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;
use RuntimeException;

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
        throw new RuntimeException("no handler for task {$this->kind}");
    }
}
