"""What trials of policies have shown, as one page of HTML that needs nothing else: text, tables and plots."""

from collections.abc import Iterator, Sequence
from html import escape
from importlib.resources import files
from string import Template

from server.pictures import changes, largest_changes, queue, utilization, waits
from server.policy_files import differences
from server.speech import Speech
from server.telling import compared_members, described, figure_table, member_table
from server.trials import Trials


def page(trials: Trials, speech: Speech) -> str:
    """Return the page, in the language of the speech; by day and by night as whoever reads has set it."""
    template = Template(files("server").joinpath("texts", "report.html").read_text(encoding="utf-8"))
    title = _title(trials, speech)
    return template.substitute(
        language=speech.language, title=escape(title), body="\n".join(_body(trials, title, speech))
    )


def _title(trials: Trials, speech: Speech) -> str:
    after, course = trials.after.name, trials.course.name
    if trials.before is None:
        return speech("title_alone", after=after, name=course)
    return speech("title", after=after, before=trials.before.name, name=course)


def _body(trials: Trials, title: str, speech: Speech) -> Iterator[str]:
    yield f"<h1>{escape(title)}</h1>"
    yield f"<p>{escape(described(trials, speech))}</p>"
    yield _table(*figure_table(trials, speech))
    for name, draw in (("plot_waits", waits), ("plot_held", utilization), ("plot_queue", queue)):
        yield _plot(speech(name), draw(trials, speech))
    if trials.before is not None:
        yield from _compared(trials, speech)
    yield f"<p class=note>{escape(speech('page_note'))}</p>"


def _compared(trials: Trials, speech: Speech) -> Iterator[str]:
    """Yield who gains and who loses, and in what the policies differ."""
    compared = compared_members(trials)
    note = speech("plot_members_note", count=len(largest_changes(compared)), all=len(compared))
    yield _plot(speech("plot_members"), changes(trials, speech), note)
    yield f"<h2>{escape(speech('institutions'))}</h2>"
    yield _table(*member_table(trials.course, compared, speech))
    if trials.before is not None:
        before, after = trials.before, trials.after
        rows = [[name, str(old), str(new)] for name, (old, new) in differences(before.policy, after.policy).items()]
        yield f"<h2>{escape(speech('differing_fields'))}</h2>"
        yield _table([speech("field"), before.name, after.name], rows)


def _plot(heading: str, svg: str, note: str = "") -> str:
    caption = f"<p class=note>{escape(note)}</p>" if note else ""
    return f'<h2>{escape(heading)}</h2>\n<figure aria-label="{escape(heading)}">{svg}</figure>{caption}'


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}" for cell in headings)
    body = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}" for cell in row) for row in rows)
    return f"<div class=wide><table><thead><tr>{head}</thead><tbody>\n{body}\n</tbody></table></div>"
