#include "train/report/html.hpp"

#include <cmath>

#include <fmt/format.h>

namespace ptrain::report {
namespace {

// Length of the UTF-8 sequence at the beginning of `s`, 0 when it is none (RFC 3629: no overlong forms, no surrogates).
size_t sequence(std::string_view s) {
  const auto byte = [&](size_t i) { return i < s.size() ? uint8_t(s[i]) : uint8_t(0); };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const uint8_t b = byte(0);
  if (b < 0x80) return 1;
  if (b >= 0xc2 && b <= 0xdf) return follows(1) ? 2 : 0;
  if (b >= 0xe0 && b <= 0xef) {
    if (!follows(1) || !follows(2) || (b == 0xe0 && byte(1) < 0xa0) || (b == 0xed && byte(1) > 0x9f)) return 0;
    return 3;
  }
  if (b >= 0xf0 && b <= 0xf4) {
    if (!follows(1) || !follows(2) || !follows(3) || (b == 0xf0 && byte(1) < 0x90) || (b == 0xf4 && byte(1) > 0x8f)) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const size_t n = sequence(text.substr(i));
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (n == 0 || (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) {
      out += "\xef\xbf\xbd";
      i += std::max<size_t>(n, 1);
      continue;
    }
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (c == '\'') out += "&#39;";
    else out += text.substr(i, n);
    i += n;
  }
  return out;
}

std::string base64(std::span<const uint8_t> bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < left ? bytes[i + k] : 0u);
    for (size_t k = 0; k < 4; ++k) out += k <= left ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::string data_uri(std::string_view mime, std::span<const uint8_t> bytes) {
  return fmt::format("data:{};base64,{}", mime, base64(bytes));
}

std::string Table::html() const {
  std::string out = "<table class=\"stack\">";
  if (!caption.empty()) out += "<caption>" + caption + "</caption>";
  out += "<thead><tr>";
  for (size_t i = 0; i < titles.size(); ++i)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", i < text_columns ? " class=\"text\"" : "", titles[i]);
  out += "</tr></thead><tbody>";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const bool none = row[i].empty() || row[i] == "–";
      const std::string kind = i < text_columns ? "text" : none ? "none" : "";
      out += fmt::format("<td{} data-label=\"{}\"><span>{}</span></td>", kind.empty() ? "" : " class=\"" + kind + "\"",
                         i < titles.size() ? titles[i] : "", none ? "–" : row[i]);
    }
    out += "</tr>";
  }
  return out + "</tbody></table>\n";
}

const Json& at(const Json& all, const std::string& pointer) {
  static const Json nothing;
  const Json::json_pointer p(pointer);
  return all.contains(p) ? all.at(p) : nothing;
}

double real(const Json& all, const std::string& pointer) {
  const Json& v = at(all, pointer);
  return v.is_number() ? v.get<double>() : std::nan("");
}

std::string text(const Json& all, const std::string& pointer) {
  const Json& v = at(all, pointer);
  return v.is_string() ? v.get<std::string>() : "";
}

std::string fixed(double value, int decimals) { return std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals) : "–"; }

std::string number(const Json& all, const std::string& pointer, int decimals) {
  const Json& v = at(all, pointer);
  if (!v.is_number()) return "–";
  const std::string shown = v.is_number_integer() ? thousands(v.get<int64_t>()) : fixed(v.get<double>(), decimals);
  return fmt::format("<span class=\"num\" data-key=\"{}\">{}</span>", escape(pointer), shown);
}

std::string with_interval(const Json& all, const std::string& pointer, int decimals) {
  std::string out = number(all, pointer, decimals);
  const Json& ci = at(all, pointer + "_ci95");
  if (ci.is_array() && ci.size() == 2)
    out += fmt::format(" <span class=\"ci\">[{}, {}]</span>", number(all, pointer + "_ci95/0", decimals),
                       number(all, pointer + "_ci95/1", decimals));
  return out;
}

std::string thousands(int64_t value) {
  const std::string digits = fmt::format("{}", value < 0 ? -value : value);
  std::string out = value < 0 ? "−" : "";
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += "\xe2\x80\xaf";  // narrow no-break space
    out += digits[i];
  }
  return out;
}

std::string duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e8) return "–";
  if (seconds < 10) return fmt::format("{:.1f} s", seconds);
  const int64_t s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {} s", s / 60, s % 60);
  return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
}

}  // namespace ptrain::report
