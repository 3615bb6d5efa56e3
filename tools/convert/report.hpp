// defines: a conversion's report, as text and as JSON
#pragma once

#include <nlohmann/json.hpp>

#include "tools/convert/convert.hpp"

namespace ptrain::convert {

std::string report_text(const ConvertOptions&, const ConvertReport&);
nlohmann::json report_json(const ConvertOptions&, const ConvertReport&);
std::string printable(const std::string& text);  // control characters, which a file's names may hold, as \xNN

}  // namespace ptrain::convert
