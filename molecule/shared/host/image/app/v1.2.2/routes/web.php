<?php

use App\Http\Controllers\HomeController;
use App\Http\Controllers\LoginController;
use App\Http\Controllers\PageController;
use Illuminate\Support\Facades\Route;

Route::get('/', HomeController::class);
Route::get('/login', [LoginController::class, 'show'])->name('login');
Route::post('/login', [LoginController::class, 'login']);
Route::get('/dashboard', [PageController::class, 'dashboard']);
Route::get('/organizations', [PageController::class, 'organizations']);
Route::get('/sites', [PageController::class, 'sites']);
Route::get('/session', [PageController::class, 'session']);
