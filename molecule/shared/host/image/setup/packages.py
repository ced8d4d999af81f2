#!/usr/bin/python3
"""Write the composer packages the application installs: PACKAGES/<name>/<version>/ with real code and some bulk."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

FRAMEWORK = Path("/usr/share/php/Illuminate")
FRAMEWORK_VERSION = "10.48.29"
BULK = 60

VERSIONS = {
    "audit": ["1.0.3"],
    "billing": ["1.1.4", "1.2.0", "1.2.1"],
    "mailing": ["0.9.0", "0.9.2"],
    "reports": ["2.3.1", "2.4.0", "2.5.0"],
    "support": ["1.7.2", "1.8.0", "2.0.0"],
    "telemetry": ["1.0.0"],
    "themes": ["1.0.2", "1.1.0"],
}

FORMATTER = """
class Formatter
{
    public static function %s(int $number): string
    {
        return $number < 1000 ? (string) $number : round($number / 1000, 1) . 'k';
    }
}
"""

THEME = """
class Theme
{
    private const KNOWN = ['classic', 'slate'];

    private function __construct(private readonly string $name)
    {
    }

    public static function named(string $name): self
    {
        if (! in_array($name, self::KNOWN, true)) {
            throw new \\InvalidArgumentException("unknown theme: {$name}");
        }

        return new self($name);
    }

    public function bodyClass(): string
    {
        return $this->name;
    }
}
"""

BILLING = """
class Billing
{
    public static function meter(string $token, string $path): string
    {
        return hash('sha256', $token . $path);
    }
}
"""

PROVIDER = """
class TelemetryServiceProvider extends \\Illuminate\\Support\\ServiceProvider
{
    public function register(): void
    {
        $this->app->instance('telemetry', new \\stdClass());
    }
}
"""


def special_classes(name: str, version: str) -> dict[str, str]:
    """Classes the application calls by name; support 2.0 renames a function, as major versions do."""
    if name == "support":
        return {"Formatter": FORMATTER % ("short" if version.startswith("1.") else "compact")}
    if name == "themes":
        return {"Theme": THEME}
    if name == "billing":
        return {"Billing": BILLING}
    if name == "telemetry":
        return {"TelemetryServiceProvider": PROVIDER}
    return {}


def bulk_class(namespace: str, number: int, version: str) -> str:
    """One of the many classes a package carries, a few kilobytes, different in each version."""
    methods = "".join(
        f"\n    public function rule{index}(array $row): array\n    {{\n"
        f"        $row['{namespace.lower()}_{number}_{index}'] = '{version}';\n\n        return $row;\n    }}\n"
        for index in range(25)
    )
    return f"\nclass Rules{number}\n{{\n    public const VERSION = '{version}';\n{methods}}}\n"


def write_package(root: Path, name: str, version: str) -> None:
    """One version of one package."""
    namespace = name.capitalize()
    manifest: dict[str, object] = {
        "name": f"chom/{name}",
        "version": version,
        "type": "library",
        "license": "proprietary",
        "autoload": {"psr-4": {f"Chom\\{namespace}\\": "src/"}},
    }
    classes = special_classes(name, version)
    if "TelemetryServiceProvider" in classes:
        manifest["extra"] = {"laravel": {"providers": ["Chom\\Telemetry\\TelemetryServiceProvider"]}}
    for number in range(BULK):
        classes[f"Rules{number}"] = bulk_class(namespace, number, version)
    folder = root / name / version
    (folder / "src").mkdir(parents=True)
    (folder / "composer.json").write_text(json.dumps(manifest, indent=4) + "\n")
    for class_name, code in classes.items():
        (folder / "src" / f"{class_name}.php").write_text(f"<?php\n\nnamespace Chom\\{namespace};\n{code}")


def write_framework(root: Path) -> None:
    """A package laravel/framework that loads the framework the distribution installed."""
    folder = root / "framework" / FRAMEWORK_VERSION
    (folder / "src").mkdir(parents=True)
    manifest = {
        "name": "laravel/framework",
        "version": FRAMEWORK_VERSION,
        "type": "library",
        "license": "MIT",
        "autoload": {"classmap": ["src/"], "files": ["framework.php"]},
    }
    (folder / "composer.json").write_text(json.dumps(manifest, indent=4) + "\n")
    (folder / "framework.php").write_text(f"<?php\n\nrequire_once '{FRAMEWORK}/autoload.php';\n")
    # Composer calls this class before anything of the application is loaded.
    shutil.copy(FRAMEWORK / "Foundation" / "ComposerScripts.php", folder / "src")


def main() -> None:
    """Write every package below the folder named on the command line."""
    root = Path(sys.argv[1])
    write_framework(root)
    for name, versions in VERSIONS.items():
        for version in versions:
            write_package(root, name, version)


if __name__ == "__main__":
    main()
