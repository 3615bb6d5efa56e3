#include <fmt/format.h>

#include "train/report/page.hpp"

namespace ptrain::report {

std::string samples_section(Page& page) {
  const Pictures& p = page.pictures;
  if (p.augmented.empty()) return absent("No pictures: " + escape(p.missing.empty() ? "none were made." : p.missing));
  std::string out = "<p>Training images in the net's own size: first as they are, then as the augmentation" +
                    (p.augmentation.empty() ? std::string() : " <code>" + escape(p.augmentation) + "</code>") + " may show them.</p>\n";
  for (const AugmentedRow& row : p.augmented) {
    out += "<h3>" + escape(row.of_class) + "</h3><p class=\"note\">" + escape(row.file) + "</p>\n<div class=\"films\">";
    for (size_t i = 0; i < row.jpegs.size(); ++i) {
      const std::string name = i == 0 ? "as it is" : fmt::format("draw {}", i);
      out += fmt::format("<figure><img alt=\"{}, {}\" src=\"{}\"><figcaption>{}</figcaption></figure>", escape(row.of_class), name,
                         data_uri("image/jpeg", row.jpegs[i]), name);
    }
    out += "</div>\n";
  }
  return out;
}

}  // namespace ptrain::report
