@extends('layout')
@section('title', 'Organizations')
@section('content')
    <table>
        <tr><th>Name</th><th>Slug</th><th>Notes</th></tr>
        @foreach ($organizations as $organization)
            <tr><td>{{ $organization->name }}</td><td>{{ $organization->slug }}</td><td>{{ $organization->notes }}</td></tr>
        @endforeach
    </table>
@endsection
