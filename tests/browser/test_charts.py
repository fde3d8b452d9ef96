"""Charts on a phone: even axes, and names that do not cover the lines."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser
UNEVEN = """
() => [...document.querySelectorAll("[data-chart]")].flatMap((element) => {
  const problems = [];
  const look = ({ axis }) => {
    const ticks = axis.scale.getTicks().map(({ value }) => value);
    const steps = ticks.slice(1).map((value, number) => value - ticks[number]);
    const isUneven = Math.max(...steps) - Math.min(...steps) > 1e-6 * Math.max(...steps);
    if (axis.type === "value" && isUneven) problems.push(`${element.id}: ${ticks}`);
    const names = axis.type === "category" ? axis.scale.getOrdinalMeta().categories : [];
    const missing = names.length - axis.getViewLabels().length;
    if (names.length > 0 && names.length <= 8 && missing) problems.push(`${element.id}: ${missing} of ${names}`);
  };
  const model = echarts.getInstanceByDom(element).getModel();
  for (const name of ["xAxis", "yAxis"]) model.eachComponent(name, look);
  return problems;
})
"""


@pytest.mark.parametrize("address", ["operations/{trained}", "operations/{backtested}", "studies/{study}"])
def test_every_axis_has_even_steps_and_all_names(
    page: Page, ids: dict[str, str], live_server: Any, address: str
) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(f"{live_server.url}/dashboard/{address.format(**ids)}")
    for chart in page.locator("[data-chart]").all():
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", "yes")
    assert page.evaluate(UNEVEN) == []


def test_a_list_names_the_lines_of_a_narrow_chart_of_bars(
    page: Page, ids: dict[str, str], live_server: Any
) -> None:
    page.goto(f"{live_server.url}/dashboard/operations/{ids['backtested']}")
    page.locator("[data-bars][data-drawn]").wait_for()
    names, titles = (
        page.locator("[data-bars-lines]"),
        "document.querySelector('[data-bars]').barChart.series.lines.map((line) => line.series.options().title)",
    )
    expect(names).to_be_hidden()
    labels = names.locator("li").all_text_contents()
    assert len(labels) > 2
    assert page.evaluate(titles) == labels
    page.set_viewport_size({"width": 360, "height": 740})
    expect(names).to_be_visible()
    assert page.evaluate(titles) == [""] * len(labels)
