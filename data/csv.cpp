#include "data/csv.hpp"

#include <algorithm>

#include "kernels/error.hpp"

namespace ptrain {

std::vector<CsvRow> parse_csv(std::string_view text, const std::string& name) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::vector<CsvRow> rows;
  size_t line = 1, at = 0;
  const auto refuse = [&](const auto&... why) { fail(ErrorKind::data, "reading ", name, ", line ", line, ": ", why...); };
  const auto line_end = [&] { return at >= text.size() || text[at] == '\n' || text.substr(at).starts_with("\r\n"); };
  while (at < text.size()) {
    const size_t first_line = line;
    CsvRow row;
    for (bool more = true; more;) {
      std::string field;
      if (at < text.size() && text[at] == '"') {
        const size_t begin = line;
        for (++at;; ++at) {
          if (at >= text.size()) {
            line = begin;
            refuse("a quoted field does not end; add the closing quote");
          }
          if (text[at] == '\n') ++line;
          if (text[at] != '"') field += text[at];
          else if (at + 1 < text.size() && text[at + 1] == '"') field += text[at++];
          else break;
        }
        ++at;
        if (!line_end() && text[at] != ',') refuse("text after a closing quote; a comma or the end of the line is wanted");
      } else {
        for (; !line_end() && text[at] != ','; ++at) {
          if (text[at] == '"') refuse("a quote inside a field that is not quoted; quote the field and double the quote");
          field += text[at];
        }
      }
      row.push_back(std::move(field));
      more = at < text.size() && text[at] == ',';
      at += more;
    }
    if (at < text.size()) at += text[at] == '\r' ? 2 : 1;
    ++line;
    if (!rows.empty() && row.size() != rows[0].size()) {
      line = first_line;
      refuse(row.size(), " fields, the first line has ", rows[0].size());
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string csv_line(const CsvRow& fields) {
  std::string line;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) line += ',';
    if (fields[i].find_first_of(",\"\r\n") == std::string::npos) {
      line += fields[i];
      continue;
    }
    line += '"';
    for (char c : fields[i]) line += c == '"' ? std::string("\"\"") : std::string(1, c);
    line += '"';
  }
  return line + '\n';
}

size_t csv_column(const CsvRow& titles, const std::string& title, const std::string& name) {
  const auto found = std::find(titles.begin(), titles.end(), title);
  if (found == titles.end()) {
    std::string list = csv_line(titles);
    list.pop_back();
    fail(ErrorKind::data, "reading ", name, ": there is no column '", title, "'; the first line is '", list, "'; add the column to it");
  }
  return size_t(found - titles.begin());
}

}  // namespace ptrain
