// defines: text that is safe inside HTML, tables, pictures inside the page
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace ptrain::report {

using Json = nlohmann::ordered_json;

// Names of classes and files come from strangers: whatever is not our own text goes through this. & < > " ' become entities, bytes that
// are not UTF-8 and control characters become U+FFFD.
std::string escape(std::string_view text);

std::string base64(std::span<const uint8_t> bytes);
std::string data_uri(std::string_view mime, std::span<const uint8_t> bytes);  // "data:image/jpeg;base64,…"

// Rows of cells that are HTML already. On a narrow screen each row becomes a block in which the titles stand before the cells.
struct Table {
  std::vector<std::string> titles;
  std::vector<std::vector<std::string>> rows;
  size_t text_columns = 1;  // the first columns are left-aligned, the others are numbers
  std::string caption;      // HTML

  std::string html() const;
};

// A number of the report with the place in report.json that it comes from, so that the two can be compared:
// <span class="num" data-key="/test/auc">0.968</span>. An absent or undefined number is "–".
std::string number(const Json& all, const std::string& pointer, int decimals = 3);
// The number and its 95 % interval, from `pointer` and `pointer`_ci95.
std::string with_interval(const Json& all, const std::string& pointer, int decimals = 3);
std::string fixed(double value, int decimals);  // "–" for NaN
std::string thousands(int64_t value);           // 2 619 074, with spaces that do not break
std::string duration(double seconds);           // "8 s", "12 min 5 s", "3 h 10 min"

// The value at a JSON pointer, or null: never an exception.
const Json& at(const Json& all, const std::string& pointer);
double real(const Json& all, const std::string& pointer);       // NaN when it is no number
std::string text(const Json& all, const std::string& pointer);  // "" when it is no string

}  // namespace ptrain::report
