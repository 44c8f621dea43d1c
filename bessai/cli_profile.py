"""The commands of `bessai profile`; what they do is in profile_command."""

from __future__ import annotations

import click

from bessai.exit_codes import EXIT_CODES

READ_HELP = """Read every point of the device at HOST once, as FILE describes it; nothing is written.

\b
    bessai profile read mine.toml 192.168.1.20
    bessai profile read huawei_sun2000_luna2000 192.168.200.1 --port 6607 --unit 0

FILE is a profile's file, or the name of one that comes along. What the device does not have is left out unless you
ask for --all. A device that serves a single client must not be in use by anything else.
"""


@click.group()
def profile() -> None:
    """List, check and try the descriptions of devices.

    A profile is a TOML file; docs/profiles.md teaches writing one.
    """


@profile.command("list", epilog=EXIT_CODES)
def list_command() -> None:
    """Print every profile that comes along, with what it is for."""
    from bessai.profile_command import list_profiles

    list_profiles()


@profile.command(epilog=EXIT_CODES)
@click.argument("file")
def check(file: str) -> None:
    """Judge the profile in FILE, telling every fault with its place and the fix."""
    from bessai.profile_command import check_profile

    check_profile(file)


@profile.command(help=READ_HELP, epilog=EXIT_CODES)
@click.argument("file")
@click.argument("host")
@click.option(
    "--port", default=502, show_default=True, type=click.IntRange(1, 65535), help="TCP port."
)
@click.option(
    "--unit",
    "unit_id",
    type=click.IntRange(0, 255),
    help="Modbus unit; the profile's if not given.",
)
@click.option(
    "--timeout",
    "timeout_s",
    default=120.0,
    show_default=True,
    type=click.FloatRange(min=0.1),
    help="Seconds for everything; behind a slow dongle a full reading takes a minute.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--all", "everything", is_flag=True, help="Also show what the device does not have.")
def read(file: str, host: str, *, as_json: bool, everything: bool, **options: object) -> None:
    """Read a device once; `READ_HELP` says how."""
    from bessai.profile_command import DeviceAddress, read_profile

    address = DeviceAddress(host=host, **options)  # type: ignore[arg-type]  # click has checked them
    read_profile(file, address, as_json=as_json, everything=everything)
