"""The look of the page: light, dark and printed, told apart by shape as well as by colour."""

from __future__ import annotations

LIGHT = {
    "paper": "#ffffff", "card": "#f4f6f9", "ink": "#1b2430", "quiet": "#55606e", "edge": "#cfd6df", "grid": "#e3e8ee",
    "main": "#0b5d8a", "limit": "#b3361f", "good": "#22693f", "late": "#8a5a00", "open": "#5d6875", "bad": "#b3261e",
}  # fmt: skip
DARK = {
    "paper": "#11161d", "card": "#1a212b", "ink": "#e6ebf1", "quiet": "#a9b4c1", "edge": "#3a4554", "grid": "#28313d",
    "main": "#6cb8e8", "limit": "#ff9b85", "good": "#63c98c", "late": "#e3b341", "open": "#93a0af", "bad": "#ff8a80",
}  # fmt: skip
"""Colours; every one that text or a line is drawn in has a contrast of at least 4.5 with paper and card."""

_RULES = """
*{box-sizing:border-box}
html{color-scheme:light dark;scroll-padding-top:1rem}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
header,main,footer{max-width:70rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2rem}
h1{font-size:1.75rem;line-height:1.2;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:2.75rem 0 .75rem;padding-top:1rem;border-top:1px solid var(--edge)}
h3{font-size:1.05rem;margin:1.75rem 0 .5rem}
p,ul,dl{margin:.6rem 0}
p,li,dd{max-width:48rem}
a{color:var(--main)}
:focus-visible{outline:2px solid var(--main);outline-offset:2px}
code,pre{font-family:ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace;font-size:.86em;overflow-wrap:anywhere}
pre{background:var(--card);padding:.75rem 1rem;white-space:pre-wrap;border-radius:6px}
.quiet{color:var(--quiet)}
.skip{position:absolute;left:-99rem}
.skip:focus{position:static}
.kind,.note,.verdict{border-left:4px solid var(--main);background:var(--card);padding:.6rem 1rem}
.kind,.note,.verdict{border-radius:0 6px 6px 0}
.verdict{border-color:var(--good);font-weight:600}
.verdict.failed{border-color:var(--bad);color:var(--bad)}
.lead{font-size:1.1rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;list-style:none;padding:0;margin:1rem 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:1.25rem 0}
.tiles div{background:var(--card);border-radius:6px;padding:.7rem .9rem}
.tiles dt{color:var(--quiet);font-size:.85rem}
.tiles dd{margin:0;font-size:1.15rem;font-weight:600;overflow-wrap:anywhere}
.tiles .failed dd{color:var(--bad)}
.scroll{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;min-width:min(100%,26rem);font-size:.88rem;font-variant-numeric:tabular-nums}
caption{text-align:left;color:var(--quiet);padding:.25rem 0 .5rem;caption-side:top}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid var(--edge)}
thead th{border-bottom:2px solid var(--edge);vertical-align:bottom}
tbody th{font-weight:600}
.number{text-align:right;white-space:nowrap}
.digest code{display:block;min-width:0;width:17ch;font-size:.74rem;line-height:1.35}
.wide{width:100%;min-width:46rem}
td time,data{white-space:nowrap}
td code{display:inline-block;min-width:12rem}
.failed td{color:var(--bad);font-weight:600}
figure{margin:1.25rem 0 2rem}
figcaption{color:var(--quiet);font-size:.9rem;max-width:48rem}
svg{display:block;width:100%;max-width:56rem;min-width:38rem;height:auto}
svg{font:12px system-ui,-apple-system,"Segoe UI",sans-serif}
svg text{fill:var(--quiet);font-variant-numeric:tabular-nums}
svg .name{fill:var(--ink)}
svg line,svg path{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}
.grid{stroke:var(--grid)}
.axis{stroke:var(--quiet)}
path.main{stroke:var(--main);stroke-width:1.75;stroke-linejoin:round}
line.main{stroke:var(--main);stroke-width:2}
.limit{stroke:var(--limit);stroke-dasharray:7 4}
.deadline{stroke:var(--limit);stroke-width:2}
.now{stroke:var(--ink);stroke-dasharray:2 3}
.range{stroke:var(--main);stroke-width:4!important;opacity:.45}
.dot-main{fill:var(--main)}
.bar-done{fill:var(--good)}
.bar-late{fill:var(--late);stroke:var(--ink)}
.bar-open{fill:var(--paper);stroke:var(--open);stroke-width:1.5}
.bar-over{fill:var(--paper);stroke:var(--bad);stroke-width:2.5}
footer{color:var(--quiet);padding-top:2rem;padding-bottom:3rem;font-size:.9rem}
"""

_PRINT = """
@page{margin:14mm 12mm}
body{font-size:10pt}
header,main,footer{max-width:none;padding:0}
nav,.screen{display:none}
h2,h3{break-after:avoid}
figure,tr{break-inside:avoid}
.tiles{grid-template-columns:repeat(5,1fr);gap:2mm}
.tiles div{padding:1.5mm 2mm}
.tiles dd{font-size:1em}
.scroll{overflow:visible}
table{font-size:7.5pt}
th,td{padding:2pt 4pt}
.wide,svg{min-width:0}
.digest code{width:17ch;font-size:6pt}
.number{white-space:normal}
svg{max-width:150mm;max-height:220mm}
*{print-color-adjust:exact}
"""


def style() -> str:
    """Return the style sheet; it loads nothing."""
    return (
        f":root{{{_variables(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}}}"
        f"{_RULES}@media print{{{_PRINT}}}"
    )


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())
