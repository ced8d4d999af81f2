<?php

namespace App\Http\Controllers;

use App\Jobs\RunTask;
use App\Models\User;
use Illuminate\Http\JsonResponse;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Str;

class SignupController
{
    private const TASKS = [
        'emails' => 'welcome-mail',
        'notifications' => 'notify-sales',
        'default' => 'provision-account',
        'reports' => 'count-signup',
        'worker' => 'index-user',
    ];

    public function store(Request $request): JsonResponse
    {
        $data = $request->validate([
            'email' => 'required|email|max:190|unique:users,email',
            'name' => 'required|string|max:190',
        ]);
        $user = DB::transaction(fn () => User::create([
            'full_name' => $data['name'],
            'email' => $data['email'],
            'password' => Str::random(40),
        ]));
        foreach (self::TASKS as $queue => $kind) {
            RunTask::dispatch($kind, (string) $user->id)->onQueue($queue);
        }

        return new JsonResponse(['id' => $user->id, 'version' => config('app.version')], 201);
    }

    public function destroy(int $id): JsonResponse
    {
        $deleted = User::query()->where('id', $id)->where('email', 'like', '%@probe.invalid')->delete();

        return new JsonResponse(['deleted' => $deleted], $deleted ? 200 : 404);
    }
}
