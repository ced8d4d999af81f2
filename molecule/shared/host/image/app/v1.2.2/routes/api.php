<?php

use App\Http\Controllers\SignupController;
use Illuminate\Support\Facades\Route;

Route::post('/signups', [SignupController::class, 'store']);
Route::delete('/signups/{id}', [SignupController::class, 'destroy'])->whereNumber('id');
