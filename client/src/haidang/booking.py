"""Commands about nodes that are fixed in advance: bookings, book, release-booking."""

from __future__ import annotations

from itertools import islice

import click

from haidang.amounts import write_moment, write_time
from haidang.answers import Booking
from haidang.desk import CenterCommand, Desk
from haidang.tables import table, terminal_width
from haidang.words import Words


@click.command(cls=CenterCommand, help="help_bookings")
@click.option("--pool", metavar="ID", help="help_pool_filter")
@click.option("--all", "over", is_flag=True, help="help_all_bookings")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, metavar="N", help="help_limit")
@click.pass_obj
def bookings(desk: Desk, *, pool: str | None, over: bool, limit: int) -> None:
    """List the bookings by their begin."""
    found = list(islice(desk.center.bookings.list(pool=pool, over=over), limit))
    desk.tell(found, lambda: _lines(found, desk.words))


@click.command(cls=CenterCommand, help="help_book")
@click.option("--nodes", required=True, metavar="N|NAME,NAME", help="help_booked_nodes")
@click.option("--lasts", required=True, metavar="TIME", help="help_lasts")
@click.option("--begins", metavar="MOMENT", help="help_begins")
@click.option("--kind", default="course", show_default=True, metavar="KIND", help="help_kind")
@click.option("--project", metavar="ID", help="help_booked_project")
@click.option("--pool", metavar="ID", help="help_pool")
@click.option("--name", default="", metavar="TEXT", help="help_name")
@click.option("--displace", is_flag=True, help="help_displace")
@click.option("--key", metavar="KEY", help="help_key_book")
@click.pass_obj
def book(
    desk: Desk,
    /,
    *,
    nodes: str,
    lasts: str,
    begins: str | None,
    kind: str,
    project: str | None,
    pool: str | None,
    name: str,
    displace: bool,
    key: str | None,
) -> None:
    """Book whole nodes; the id alone goes to stdout, so that a script can take it."""
    booked = desk.center.bookings.book(
        int(nodes) if nodes.isdecimal() else [node.strip() for node in nodes.split(",")],
        lasts,
        begins=begins,
        kind=kind,
        project=project,
        pool=pool,
        name=name,
        displace=displace,
        key=key,
    )
    desk.tell(booked, lambda: [booked.id])


@click.command(cls=CenterCommand, help="help_release-booking")
@click.argument("booking_id", metavar="ID")
@click.pass_obj
def release_booking(desk: Desk, *, booking_id: str) -> None:
    """Give booked nodes back to everybody."""
    released = desk.center.bookings.release(booking_id)
    desk.tell(released, lambda: [_over(released, desk.words)])


def _over(booking: Booking, words: Words) -> str:
    return words("booking_over", id=booking.id, when=write_moment(booking.until, words))


def _lines(found: list[Booking], words: Words) -> list[str]:
    if not found:
        return [words("nothing_booked")]
    names = ("booking", "begins", "until", "kind", "project", "pool", "nodes", "name")
    rows = [
        [
            booking.id,
            write_time(booking.begins, words),
            write_time(booking.until, words),
            _kind(booking, words),
            booking.project or "",
            booking.pool,
            ", ".join(booking.nodes),
            booking.name,
        ]
        for booking in found
    ]
    return table([words(f"heading_{name}") for name in names], rows, width=terminal_width())


def _kind(booking: Booking, words: Words) -> str:
    name = f"kind_{booking.kind}"
    return words(name) if name in words else booking.kind
