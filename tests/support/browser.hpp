// defines: browser(), measure(): a page in a real browser, at the width of a desk or of a phone
#pragma once

#include <algorithm>
#include <fstream>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

// The path of Chromium, or "" when there is none here.
inline std::string browser() {
  for (const char* name : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"})
    if (std::filesystem::exists(name)) return name;
  return "";
}

// Runs inside the page: how wide it is, and what reaches beyond it.
inline constexpr const char* kMeasure = R"js(<script>
addEventListener('load',()=>{const w=document.documentElement.clientWidth,out=[];
for(const e of document.querySelectorAll('body *')){if(e.closest('svg')&&e.tagName!=='svg')continue;const r=e.getBoundingClientRect();
if(r.width>0&&(r.right>w+1||r.left<-1))out.push(e.tagName+'.'+e.className+'#'+(e.closest('section')||{id:''}).id)}
const drawn=[...document.querySelectorAll('section')].filter(s=>s.getBoundingClientRect().height>60).length;
for(const s of document.querySelectorAll('figure>svg')){const b=s.getBoundingClientRect();
for(const t of s.querySelectorAll('text')){const r=t.getBoundingClientRect();
if(r.left<b.left-1||r.right>b.right+1)out.push('text "'+t.textContent+'"')}}
const broken=[...document.images].filter(i=>!i.naturalWidth).length;
parent.postMessage({width:w,scroll:document.documentElement.scrollWidth,sections:drawn,broken,out:out.slice(0,8)},'*')})
</script>)js";

// {width, scroll, sections, broken, out}: of the page in a frame of that width (a window cannot be narrower than 500 pixels).
inline nlohmann::json measure(const std::filesystem::path& folder, std::string html, int width) {
  const size_t body = html.rfind("</body>");
  REQUIRE(body != std::string::npos);
  html.insert(body, kMeasure);
  std::ofstream(folder / "page.html", std::ios::binary) << html;
  std::ofstream(folder / "frame.html")
      << "<!DOCTYPE html><body style='margin:0'><iframe src='page.html' style='border:0;width:" << width
      << "px;height:900px'></iframe><script>onmessage=e=>{document.body.setAttribute('data-result',JSON.stringify(e.data))}</script></"
         "body>";
  const Finished f = run({browser(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                          "--user-data-dir=" + (folder / "profile").string(), "--virtual-time-budget=10000",
                          concat("--window-size=", std::max(width, 500), ",1000"), "--dump-dom",
                          "file://" + std::filesystem::absolute(folder / "frame.html").string()});
  INFO(f.err);
  const size_t at = f.out.find("data-result=\"");
  REQUIRE_MESSAGE(at != std::string::npos, "the browser gave no measurement: ", f.out.substr(0, 300));
  std::string json = f.out.substr(at + 13, f.out.find('"', at + 13) - at - 13);
  for (size_t k; (k = json.find("&quot;")) != std::string::npos;) json.replace(k, 6, "\"");
  return nlohmann::json::parse(json);
}

}  // namespace ptrain::test
