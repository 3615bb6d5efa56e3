#include <cmath>

#include <fmt/format.h>

#include "train/report/page.hpp"

namespace ptrain::report {

std::string mistakes_section(Page& page) {
  const Pictures& p = page.pictures;
  if (p.mistakes.empty()) return absent(p.missing.empty() ? "No mistakes to show." : "No pictures: " + escape(p.missing));
  std::string out = fmt::format(
      "<p>The {} surest wrong decisions on the {} part. Beside each film is where the net saw its decision (Grad-CAM, yellow is most). A "
      "map shows what moved the score; it is no proof that the net "
      "looked at the disease, and a wrong label is as possible as a wrong decision.</p>\n<div class=\"mistakes\">\n",
      p.mistakes.size(), p.mistakes.front().part);
  for (const Mistake& m : p.mistakes) {
    out += "<div class=\"mistake\"><div class=\"two\">" +
           fmt::format("<img alt=\"film\" src=\"{}\"><img alt=\"film with Grad-CAM\" src=\"{}\"></div>", data_uri("image/jpeg", m.film),
                       data_uri("image/jpeg", m.overlay));
    out += fmt::format("<p>Decided <b>{}</b> with probability {}; labelled <b>{}</b>.</p><p class=\"name\">{}</p></div>\n",
                       escape(m.decided), fixed(m.probability, 3), escape(m.label),
                       escape(m.file) + (m.patient.empty() ? "" : " · patient " + escape(m.patient)));
  }
  return out + "</div>\n";
}

}  // namespace ptrain::report
