<?php

namespace App\Console\Commands;

use App\Jobs\RunTask;
use Illuminate\Console\Command;

class Enqueue extends Command
{
    protected $signature = 'chom:enqueue {count : Number of jobs}
                            {--delay=0 : Seconds until they may run}
                            {--queue=default : Name of the queue}
                            {--sleep=0 : Seconds each job takes}';

    protected $description = 'Put jobs onto a queue';

    public function handle(): int
    {
        $count = (int) $this->argument('count');
        for ($number = 1; $number <= $count; $number++) {
            $job = RunTask::dispatch('task', (string) $number, (float) $this->option('sleep'))
                ->onQueue($this->option('queue'));
            if ((int) $this->option('delay') > 0) {
                $job->delay((int) $this->option('delay'));
            }
            unset($job);
        }
        $this->line(json_encode(['queued' => $count, 'queue' => $this->option('queue')]));

        return self::SUCCESS;
    }
}
