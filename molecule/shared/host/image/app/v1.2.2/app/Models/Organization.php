<?php

namespace App\Models;

use Illuminate\Database\Eloquent\Model;
use Illuminate\Database\Eloquent\Relations\HasMany;

class Organization extends Model
{
    public function sites(): HasMany
    {
        return $this->hasMany(Site::class);
    }
}
