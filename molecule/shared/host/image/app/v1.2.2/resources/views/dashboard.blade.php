@extends('layout')
@section('title', 'Dashboard')
@section('content')
    <h2>Largest organizations</h2>
    <ul>
        @foreach ($organizations as $organization)
            <li>{{ $organization->name }}: {{ $organization->sites_count }} sites</li>
        @endforeach
    </ul>
    <h2>Members</h2>
    <ul>
        @foreach ($members as $member)
            <li>{{ $member->name }} ({{ $member->email }})</li>
        @endforeach
    </ul>
@endsection
