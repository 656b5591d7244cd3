"""Every block of code in README.md and the pages of docs/ runs as it stands.

The ```python blocks of a page are one session, in their order: a block of `>>>` lines is a doctest, any
other is executed. A ```diff block between two versions of Python code is run before and after.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def blocks(text: str, language: str) -> list[tuple[int, str]]:
    """Line number and text of each fenced block of a language."""
    return [
        (text.count("\n", 0, match.start()) + 2, match[2]) for match in BLOCK.finditer(text) if match[1] == language
    ]


def run_page(text: str, page: str) -> int:
    """Run the Python blocks of a page in one namespace; return their number.

    What fails names its line of the page.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    found = blocks(text, "python")
    for line, source in found:
        if source.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(source, namespace, page, page, line - 1)
            try:
                runner.run(test, clear_globs=False)
            except doctest.DocTestFailure as failure:
                example, where = failure.example, f"{page}:{line + failure.example.lineno}"
                raise AssertionError(f"{where}: {example.source}prints {failure.got!r}, not {example.want!r}") from None
            except doctest.UnexpectedException as failure:
                failure.exc_info[1].add_note(f"{page}:{line + failure.example.lineno}: {failure.example.source}")
                raise failure.exc_info[1] from None
            namespace.update(test.globs)
        else:
            exec(compile("\n" * (line - 1) + source, page, "exec"), namespace)
    return len(found)


def sides(diff: str) -> tuple[str, str]:
    """Code before and after a diff without hunk headers."""
    lines = diff.splitlines()
    before = [line[1:].removeprefix(" ") for line in lines if not line.startswith("+")]
    after = [line[1:].removeprefix(" ") for line in lines if not line.startswith("-")]
    return "\n".join(before), "\n".join(after)


@pytest.mark.parametrize("page", PAGES)
def test_code_of_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    run_page(PAGES[page].read_text(encoding="utf-8"), page)
    assert list(tmp_path.iterdir()) == []


def test_before_and_after_in_the_readme_find_the_same():
    [(_, diff)] = blocks(PAGES["README.md"].read_text(encoding="utf-8"), "diff")
    results = []
    for source in sides(diff):
        namespace: dict[str, Any] = {}
        exec(source, namespace)
        results.append(namespace["search"])
    before, after = results
    assert type(before).__module__.startswith("sklearn.")
    assert type(after).__module__.startswith("sksearch.")
    assert after.best_params_ == before.best_params_
    assert after.best_score_ == before.best_score_
    assert after.cv_results_["mean_test_score"].tolist() == before.cv_results_["mean_test_score"].tolist()


def test_every_guide_shows_code():
    guides = [page for page in PAGES if page.startswith("docs/guide/")]
    assert guides
    assert [page for page in guides if not blocks(PAGES[page].read_text(encoding="utf-8"), "python")] == []


def test_blocks_share_one_session_and_are_counted():
    page = "Text\n```python\na = 1\n```\n```python\n>>> a + 1\n2\n>>> b = 5\n```\n```python\nassert a + b == 6\n```\n"
    assert run_page(page, "page.md") == 3


def test_a_wrong_output_fails():
    with pytest.raises(AssertionError, match=r"page\.md:4: 1 \+ 1\nprints '2\\n', not '3\\n'"):
        run_page("Text\n```python\n>>> a = 1\n>>> 1 + 1\n3\n```\n", "page.md")


def test_an_exception_in_a_doctest_fails():
    with pytest.raises(ZeroDivisionError) as error:
        run_page("```python\n>>> a = 1\n>>> 1 / 0\n```\n", "page.md")
    assert error.value.__notes__ == ["page.md:3: 1 / 0\n"]


def test_an_exception_names_the_line_of_the_page():
    with pytest.raises(ZeroDivisionError) as error:
        run_page("Text\n\n```python\na = 1\n1 / 0\n```\n", "page.md")
    last = error.traceback[-1]
    assert (Path(last.path).name, last.lineno + 1) == ("page.md", 5)


def test_a_diff_has_two_sides():
    assert sides(" same\n-old\n+new") == ("same\nold", "same\nnew")
