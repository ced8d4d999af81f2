@extends('layout')
@section('title', 'Sites')
@section('content')
    <table>
        <tr><th>Domain</th><th>Title</th><th>Owner</th></tr>
        @foreach ($sites as $site)
            <tr><td>{{ $site->domain }}</td><td>{{ $site->title }}</td><td>{{ $site->owner?->name }}</td></tr>
        @endforeach
    </table>
@endsection
