// defines: listing(), the names in a message that could be thousands
#pragma once

#include <span>
#include <string>

namespace ptrain {

// "\n  a\n  b\n  … and 3 more": one name a line, at most `most` of them.
inline std::string listing(std::span<const std::string> names, size_t most = 20) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < most; ++i) text += "\n  " + names[i];
  if (names.size() > most) text += "\n  … and " + std::to_string(names.size() - most) + " more";
  return text;
}

}  // namespace ptrain
