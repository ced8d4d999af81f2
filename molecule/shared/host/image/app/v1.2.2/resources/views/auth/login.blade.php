@extends('layout')
@section('title', 'Log in')
@section('content')
    <form method="post" action="/login">
        @csrf
        @error('email') <p>{{ $message }}</p> @enderror
        <label>E-mail <input type="email" name="email" required></label>
        <label>Password <input type="password" name="password" required></label>
        <button type="submit">Log in</button>
    </form>
@endsection
