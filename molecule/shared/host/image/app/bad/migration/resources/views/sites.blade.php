@extends('layout')
@section('title', 'Sites')
@section('content')
    <table>
        <tr><th>Domain</th><th>Plan</th><th>Title</th><th>Owner</th></tr>
        @foreach ($sites as $site)
            <tr><td>{{ $site->domain }}</td><td>{{ $site->plan }}</td><td>{{ $site->title }}</td><td>{{ $site->owner?->full_name }}</td></tr>
        @endforeach
    </table>
@endsection
