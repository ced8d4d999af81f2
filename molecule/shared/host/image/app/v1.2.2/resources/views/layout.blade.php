<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="csrf-token" content="{{ csrf_token() }}">
    <title>@yield('title') - {{ config('app.name') }}</title>
    <link rel="stylesheet" href="/css/app.css">
</head>
<body class="{{ \Chom\Themes\Theme::named(config('chom.theme'))->bodyClass() }}">
    <h1>@yield('title')</h1>
    @yield('content')
    <footer>{{ config('app.name') }} {{ config('app.version') }}</footer>
</body>
</html>
