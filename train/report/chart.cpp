#include "train/report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include <fmt/format.h>

#include "kernels/error.hpp"
#include "train/report/html.hpp"

namespace ptrain::report {
namespace {

std::string num(double v) { return fmt::format("{:.1f}", v); }

std::string shape_at(double x, double y, int shape, int colour) {
  if (shape == 1)
    return fmt::format("<path class=\"f{4}\" d=\"M{0} {2}L{1} {3}L{0} {5}L{6} {3}Z\"/>", num(x), num(x + 5), num(y - 5), num(y), colour,
                       num(y + 5), num(x - 5));
  if (shape == 2) return fmt::format("<rect class=\"f{}\" x=\"{}\" y=\"{}\" width=\"8\" height=\"8\"/>", colour, num(x - 4), num(y - 4));
  return fmt::format("<circle class=\"f{}\" cx=\"{}\" cy=\"{}\" r=\"4.5\"/>", colour, num(x), num(y));
}

// What fits `units` of the drawing, in letters of up to 8 units each, which is what a phone shows them at.
std::string shortened(const std::string& text, double units) {
  const size_t most = size_t(std::max(4.0, units / 8));
  size_t letters = 0, end = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((uint8_t(text[i]) & 0xc0) == 0x80) continue;  // inside a letter
    if (letters++ + 1 == most) end = i;
  }
  return letters <= most ? text : text.substr(0, end) + "…";
}

std::string begin_svg(double width, double height, const std::string& title) {
  return fmt::format("<svg viewBox=\"0 0 {0:.0f} {1:.0f}\" role=\"img\" aria-label=\"{2}\"><title>{2}</title>", width, height,
                     escape(title));
}

}  // namespace

std::vector<double> ticks(double low, double high, int count) {
  if (!(high > low) || count < 1 || !std::isfinite(low) || !std::isfinite(high)) return {low};
  const double raw = (high - low) / count, power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double m : {1.0, 2.0, 5.0})
    if (m * power >= raw * 0.999) {
      step = m * power;
      break;
    }
  std::vector<double> at;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; ++k) at.push_back(k == 0 ? 0 : k * step);
  return at;
}

std::string tick_label(double value, double step) {
  const int decimals = std::clamp(int(std::ceil(-std::log10(std::fabs(step)) - 1e-9)), 0, 6);
  return fmt::format("{:.{}f}", value, decimals);
}

Chart::Chart(Axis x, Axis y, double width, double height)
    : x_axis_(std::move(x)),
      y_axis_(std::move(y)),
      width_(width),
      height_(height),
      x_{x_axis_.low, x_axis_.high, 60, width - 14},
      y_{y_axis_.low, y_axis_.high, height - 44, 12} {
  REQUIRE_THAT(x_axis_.high > x_axis_.low && y_axis_.high > y_axis_.low, "a chart of '", y_axis_.label, "' over '", x_axis_.label,
               "' has an empty axis");
}

std::string Chart::path(const std::vector<Point>& points, bool first) const {
  std::string d;
  for (const Point& p : points) {
    if (!std::isfinite(p.x) || !std::isfinite(p.y)) continue;
    d += fmt::format("{}{} {}", first ? "M" : "L", num(x_(p.x)), num(y_(std::clamp(p.y, y_axis_.low, y_axis_.high))));
    first = false;
  }
  return d;
}

void Chart::line(const std::vector<Point>& points, Look look, const std::string& label) {
  const std::string d = path(points);
  if (d.empty()) return;
  body_ += fmt::format("<path class=\"l{}{}\" stroke-width=\"{}\" d=\"{}\"/>", look.colour, look.dashed ? " dash" : "", look.width, d);
  if (!label.empty()) entries_.push_back({label, look});
}

void Chart::band(const std::vector<Point>& low, const std::vector<Point>& high, int colour) {
  const std::string up = path(high);
  if (up.empty() || path(low).empty()) return;
  body_ += fmt::format("<path class=\"b{}\" d=\"{}{}Z\"/>", colour, up, path({low.rbegin(), low.rend()}, false));
}

void Chart::bar(double x0, double x1, double y, int colour, double from) {
  if (!std::isfinite(y)) return;
  const double top = y_(std::max(y, from)), bottom = y_(std::min(y, from));
  body_ += fmt::format("<rect class=\"f{}\" opacity=\".75\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", colour, num(x_(x0) + 0.5),
                       num(top), num(std::max(0.5, x_(x1) - x_(x0) - 1)), num(bottom - top));
}

void Chart::error_bar(Point at, double low, double high, int colour) {
  if (!std::isfinite(low) || !std::isfinite(high)) return;
  const double x = x_(at.x), top = y_(std::min(high, y_axis_.high)), bottom = y_(std::max(low, y_axis_.low));
  body_ += fmt::format("<path class=\"l{0}\" stroke-width=\"1.5\" d=\"M{1} {2}V{3}M{4} {2}H{5}M{4} {3}H{5}\"/>", colour, num(x), num(top),
                       num(bottom), num(x - 3), num(x + 3));
}

void Chart::mark(Point at, int colour, const std::string& label, int shape) {
  if (!std::isfinite(at.x) || !std::isfinite(at.y)) return;
  body_ += shape_at(x_(at.x), y_(std::clamp(at.y, y_axis_.low, y_axis_.high)), shape, colour);
  if (!label.empty()) entries_.push_back({label, {.colour = colour}, shape});
}

void Chart::reference(Point a, Point b) {
  body_ += fmt::format("<path class=\"ref\" d=\"M{} {}L{} {}\"/>", num(x_(a.x)), num(y_(a.y)), num(x_(b.x)), num(y_(b.y)));
}

void Chart::vertical(double x, const std::string& label) {
  const double at = x_(x);
  const bool right = at > width_ * 0.7;
  body_ += fmt::format("<path class=\"ref\" d=\"M{0} {1}V{2}\"/><text x=\"{3}\" y=\"{4}\" text-anchor=\"{5}\">{6}</text>", num(at),
                       num(y_.to), num(y_.from), num(right ? at - 4 : at + 4), num(y_.to + 10), right ? "end" : "start", escape(label));
}

void Chart::note(Point at, const std::string& text, const std::string& anchor) {
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>", num(x_(at.x)), num(y_(at.y)), anchor, escape(text));
}

std::string Chart::axes() const {
  std::string out;
  const auto step = [](const std::vector<double>& at) { return at.size() > 1 ? at[1] - at[0] : 1.0; };
  const std::vector<double> xs = ticks(x_axis_.low, x_axis_.high, x_axis_.ticks), ys = ticks(y_axis_.low, y_axis_.high, y_axis_.ticks);
  for (const double v : ys)
    out += fmt::format("<path class=\"grid\" d=\"M{0} {2}H{1}\"/><text x=\"{3}\" y=\"{4}\" text-anchor=\"end\">{5}</text>", num(x_.from),
                       num(x_.to), num(y_(v)), num(x_.from - 6), num(y_(v) + 4), tick_label(v, step(ys)));
  for (const double v : xs)
    out += fmt::format("<path class=\"grid\" d=\"M{0} {1}V{2}\"/><text x=\"{0}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>", num(x_(v)),
                       num(y_.from), num(y_.to), num(y_.from + 16), tick_label(v, step(xs)));
  out += fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/>", num(x_.from), num(y_.to), num(y_.from), num(x_.to));
  out += fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>", num((x_.from + x_.to) / 2),
                     num(height_ - 8), escape(shortened(x_axis_.label, x_.to - x_.from)));
  out += fmt::format("<text class=\"title\" transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
                     num((y_.from + y_.to) / 2), escape(shortened(y_axis_.label, y_.from - y_.to)));
  return out;
}

// Beside the drawing, as HTML: it breaks into lines where the page is narrow.
std::string Chart::legend() const {
  if (entries_.empty()) return "";
  std::string out = "<div class=\"legend\">";
  for (const Entry& e : entries_) {
    out += "<span><svg viewBox=\"0 0 26 12\" aria-hidden=\"true\">";
    if (e.shape >= 0) out += shape_at(13, 6, e.shape, e.look.colour);
    else
      out += fmt::format("<path class=\"l{}{}\" stroke-width=\"{}\" d=\"M1 6H25\"/>", e.look.colour, e.look.dashed ? " dash" : "",
                         e.look.width);
    out += "</svg>" + escape(e.label) + "</span>";
  }
  return out + "</div>";
}

std::string Chart::svg(const std::string& title) const { return begin_svg(width_, height_, title) + axes() + body_ + "</svg>" + legend(); }

std::string forest(const std::vector<ForestRow>& rows, Axis axis, double reference, const std::string& title) {
  constexpr double kWidth = 440, kRow = 25, kLabels = 116, kValues = 148;
  double height = 8;
  std::string body, group;
  const Scale x{axis.low, axis.high, kLabels, kWidth - kValues - 8};
  const double top = height;
  for (const ForestRow& row : rows) {
    if (row.group != group) {
      group = row.group;
      body += fmt::format("<text class=\"title\" x=\"2\" y=\"{}\">{}</text>", num(height + 16), escape(shortened(group, kWidth - 4)));
      height += kRow;
    }
    const double y = height + kRow / 2;
    body += fmt::format("<text{} x=\"10\" y=\"{}\">{}</text>", row.strong ? " class=\"strong\"" : "", num(y + 4),
                        escape(shortened(row.label, kLabels - 8)));
    if (std::isfinite(row.value)) {
      const auto inside = [&](double v) { return x(std::clamp(v, axis.low, axis.high)); };
      if (std::isfinite(row.low) && std::isfinite(row.high))
        body += fmt::format("<path class=\"l{0}\" stroke-width=\"1.8\" d=\"M{1} {3}H{2}M{1} {4}V{5}M{2} {4}V{5}\"/>", row.colour,
                            num(inside(row.low)), num(inside(row.high)), num(y), num(y - 4), num(y + 4));
      body += shape_at(inside(row.value), y, row.strong ? 1 : 2, row.colour);
      std::string shown = fixed(row.value, 3);
      if (std::isfinite(row.low) && std::isfinite(row.high)) shown += fmt::format(" [{}, {}]", fixed(row.low, 3), fixed(row.high, 3));
      body += fmt::format("<text{} x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>", row.strong ? " class=\"strong\"" : "", num(kWidth - 2),
                          num(y + 4), shown);
    }
    height += kRow;
  }
  const double bottom = height + 4;
  const std::vector<double> at = ticks(axis.low, axis.high, axis.ticks);
  std::string out = begin_svg(kWidth, bottom + 36, title);
  for (const double v : at)
    out += fmt::format("<path class=\"grid\" d=\"M{0} {1}V{2}\"/><text x=\"{0}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>", num(x(v)),
                       num(top), num(bottom), num(bottom + 15), tick_label(v, at.size() > 1 ? at[1] - at[0] : 1));
  if (std::isfinite(reference) && reference >= axis.low && reference <= axis.high)
    out += fmt::format("<path class=\"ref\" d=\"M{} {}V{}\"/>", num(x(reference)), num(top), num(bottom));
  out += fmt::format("<path class=\"axis\" d=\"M{} {}H{}\"/><text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                     num(x.from), num(bottom), num(x.to), num((x.from + x.to) / 2), num(bottom + 31), escape(axis.label));
  return out + body + "</svg>";
}

}  // namespace ptrain::report
