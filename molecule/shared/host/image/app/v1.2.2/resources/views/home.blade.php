@extends('layout')
@section('title', 'Welcome')
@section('content')
    <p>Hosting {{ $sites }} sites of {{ $organizations }} organizations for {{ $users }} users.</p>
    <ul>
        @foreach ($newest as $user)
            <li>{{ $user->name }}</li>
        @endforeach
    </ul>
    <p><a href="/login">Log in</a></p>
@endsection
