#include "train/report/page.hpp"

namespace ptrain::report {

// Light and dark by the reader's system, black on white on paper; one column on a phone. Colours of the figures: Okabe and Ito, 2008,
// darkened or lightened for a contrast of at least 3:1.
const char* const kStyle = R"css(
:root{--paper:#f6f7f9;--card:#fff;--ink:#1b2330;--soft:#5a6472;--line:#dde2e9;--accent:#0b62a3;--warn:#8a3b00;--warnbg:#fdf1e3;
--c0:#0072b2;--c1:#c25400;--c2:#007a5a;--c3:#a6558a;--c4:#7d6a00;--c5:#4b5563}
@media (prefers-color-scheme:dark){:root{--paper:#12161c;--card:#1a2028;--ink:#e4e9f0;--soft:#9aa6b5;--line:#2e3743;--accent:#6cb8f0;
--warn:#ffc48a;--warnbg:#3a2a17;
--c0:#56b4e9;--c1:#f0913a;--c2:#3cc49b;--c3:#e39cc6;--c4:#e3cf4a;--c5:#aab4c2}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;max-width:1120px;padding:0 24px 48px;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;overflow-wrap:anywhere}
header{padding:36px 0 8px}
h1{font-size:2rem;line-height:1.2;margin:0}
.kind{margin:0;color:var(--accent);font-size:.85rem;font-weight:600;letter-spacing:.04em;text-transform:uppercase}
.sub{margin:.3em 0 0;color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;padding:10px 0 14px;border-bottom:1px solid var(--line);font-size:.9rem}
a{color:var(--accent)}nav a{text-decoration:none}nav a:hover{text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 26px 14px;margin:20px 0}
h2{font-size:1.3rem;margin:0 0 .6em;line-height:1.25}h3{font-size:1.02rem;margin:1.5em 0 .4em}
p{margin:.5em 0}ul,ol{margin:.4em 0;padding-left:1.4em}li{margin:.25em 0}
.absent{color:var(--soft);font-style:italic}
.warning{background:var(--warnbg);color:var(--warn);border-left:4px solid currentColor;padding:.6em .9em;border-radius:4px}
.note{color:var(--soft);font-size:.9rem}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(190px,1fr));gap:12px;margin:.4em 0 1em}
.tile{border:1px solid var(--line);border-radius:10px;padding:12px 14px}
.tile b{display:block;font-size:1.75rem;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span.what{display:block;color:var(--soft);font-size:.86rem}
.tile .ci{display:block;font-size:.86rem}
.num{font-variant-numeric:tabular-nums;white-space:nowrap}.ci{color:var(--soft);white-space:nowrap}
.pair{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:8px 28px;align-items:start}
figure{margin:1em 0;min-width:0}
figcaption{color:var(--soft);font-size:.9rem;margin-top:.3em}
figure>svg{display:block;width:100%;height:auto;max-width:560px}
.csv{font-size:.8rem;border:1px solid var(--line);border-radius:5px;padding:0 .45em;text-decoration:none;white-space:nowrap}
.legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:.86rem;margin:.3em 0 0}
.legend svg{width:26px;height:12px;margin-right:6px;vertical-align:-1px}
svg text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,"DejaVu Sans",sans-serif;fill:var(--soft)}
svg .title{fill:var(--ink)}svg .strong{font-weight:700;fill:var(--ink)}
svg .grid{stroke:var(--line);fill:none}svg .axis{stroke:var(--soft);fill:none}
svg .ref{stroke:var(--soft);stroke-dasharray:3 3;fill:none}
.l0,.l1,.l2,.l3,.l4,.l5{fill:none;stroke-linejoin:round}.dash{stroke-dasharray:6 4}
.l0{stroke:var(--c0)}.l1{stroke:var(--c1)}.l2{stroke:var(--c2)}.l3{stroke:var(--c3)}.l4{stroke:var(--c4)}.l5{stroke:var(--c5)}
.f0,.b0{fill:var(--c0)}.f1,.b1{fill:var(--c1)}.f2,.b2{fill:var(--c2)}.f3,.b3{fill:var(--c3)}.f4,.b4{fill:var(--c4)}
.f5,.b5{fill:var(--c5)}
.b0,.b1,.b2,.b3,.b4,.b5{opacity:.18}
table{border-collapse:collapse;width:100%;font-size:.9rem;margin:.6em 0}
caption{text-align:left;color:var(--soft);font-size:.9rem;padding-bottom:.3em}
th,td{text-align:right;padding:.34em .6em;border-bottom:1px solid var(--line);vertical-align:top;font-variant-numeric:tabular-nums}
th{color:var(--soft);font-weight:600;min-width:5.6em}th:empty{min-width:0}th.text,td.text{text-align:left}
tr.strong td{font-weight:650}
table.confusion{width:auto;min-width:270px;margin:.3em 0}
table.confusion td,table.confusion th{text-align:center;vertical-align:middle;border:1px solid var(--line)}
table.confusion td{background:color-mix(in srgb,var(--cell) calc(var(--share)*55%),transparent);min-width:4.5em;padding:.7em .6em}
table.confusion td b{display:block;font-size:1.15rem}table.confusion td small{color:var(--soft)}
.films{display:grid;grid-template-columns:repeat(7,1fr);gap:8px}
.films figure{margin:0}.films img,.mistake img{display:block;width:100%;height:auto;border-radius:6px;background:#000}
.films figcaption{font-size:.78rem}
.mistakes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:18px}
.mistake .two{display:grid;grid-template-columns:1fr 1fr;gap:4px}
.mistake p{font-size:.88rem;margin:.35em 0 0}.mistake .name{color:var(--soft);font-size:.8rem}
pre{white-space:pre-wrap;background:var(--paper);border:1px solid var(--line);border-radius:8px;padding:.7em .9em;
font:.85rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
details{margin:.6em 0}summary{cursor:pointer;color:var(--accent)}
.beside{display:inline-block;min-width:5.6em}
.track{display:inline-block;width:64px;margin-right:.6em;text-align:left}.track.long{width:128px}
.bar{display:inline-block;height:.65em;background:var(--c0);border-radius:2px}
footer{color:var(--soft);font-size:.85rem}
@media (max-width:720px){body{padding:0 12px 32px;font-size:15.5px}header{padding-top:20px}
section{padding:16px 14px 8px;border-radius:10px}h1{font-size:1.55rem}
table.stack,table.stack tbody,table.stack tr,table.stack td{display:block}table.stack thead{display:none}
table.stack caption{display:block}
table.stack tr{border:1px solid var(--line);border-radius:8px;margin:.6em 0;padding:.3em .2em}
table.stack td{border:0;text-align:right;display:flex;justify-content:space-between;gap:.8em;padding:.16em .6em}
table.stack td::before{content:attr(data-label);color:var(--soft);text-align:left;flex:0 1 auto;max-width:52%;min-width:5.6em}
table.confusion th,table.confusion td{padding:.45em .25em;min-width:0;font-size:.8rem}
table.stack td.text:first-child{font-weight:650;justify-content:flex-start}table.stack td.text:first-child::before{display:none}
table.stack td.none{display:none}table.stack td>span{text-align:right;min-width:0}table.stack td.text:first-child>span{text-align:left}
svg text{font-size:14.5px}.films{grid-template-columns:repeat(4,1fr)}
.tiles{grid-template-columns:1fr 1fr}.tile b{font-size:1.4rem}.tile .ci{white-space:normal}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#bbb;--accent:#000;--c0:#0072b2;--c1:#c25400;--c2:#007a5a;
--c3:#a6558a;--c4:#7d6a00;--c5:#4b5563;--warn:#000;--warnbg:#fff}
body{max-width:none;padding:0;font-size:10.5pt}section{border:0;border-top:1px solid #bbb;border-radius:0;padding:10px 0;margin:0}
nav,.csv{display:none}
.pair{grid-template-columns:1fr 1fr}.tiles{grid-template-columns:repeat(4,1fr)}.tile b{font-size:1.3rem}
table{font-size:8.5pt}th{min-width:0}th,td{padding:.25em .4em}td.text:first-child{min-width:6.5em}
h2,h3{break-after:avoid}figure,tr,.mistake,.tile{break-inside:avoid}details>*{display:block}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
)css";

}  // namespace ptrain::report
