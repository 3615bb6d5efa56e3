// defines: reading and writing tables as RFC 4180 says (comma, quotes doubled inside quotes)
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ptrain {

using CsvRow = std::vector<std::string>;

// The rows of a text; lines end in LF or CRLF, an empty last line and a byte order mark are left out. Every row has as many fields as
// the first. Error{data} names `name` and the line.
std::vector<CsvRow> parse_csv(std::string_view text, const std::string& name);

// One line with its end; fields that hold a comma, a quote or a line end are quoted.
std::string csv_line(const CsvRow& fields);

// The position of the column `title` in the first row of `name`; Error{data} lists the columns when it is not there.
size_t csv_column(const CsvRow& titles, const std::string& title, const std::string& name);

}  // namespace ptrain
