<?php

return [
    'theme' => env('CHOM_THEME', 'classic'),
];
