<?php

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\Schema;

return new class () extends Migration {
    public function up(): void
    {
        Schema::create('processed_jobs', function (Blueprint $table) {
            $table->id();
            $table->string('queue');
            $table->string('kind');
            $table->string('subject');
            $table->string('version');
            $table->timestamp('processed_at', 3);
        });
    }

    public function down(): void
    {
        Schema::dropIfExists('processed_jobs');
    }
};
