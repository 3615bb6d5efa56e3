#include "train/progress.hpp"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <vector>

namespace ptrain {
namespace {

constexpr double kSecondsBetweenDraws = 0.1;
constexpr size_t kLongestBar = 30, kShortestBar = 8;

int terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

bool set_and_not_empty(const char* name) {
  const char* value = std::getenv(name);
  return value && *value;
}

// loss first, then accuracy, then the same of validation, then the rest by name; learning_rate last.
std::vector<std::pair<std::string, double>> in_reading_order(const Logs& logs) {
  const auto place = [](const std::string& name) {
    constexpr std::array<std::string_view, 4> first{"loss", "accuracy", "val_loss", "val_accuracy"};
    const auto found = std::ranges::find(first, name);
    return name == "learning_rate" ? first.size() + 1 : size_t(found - first.begin());
  };
  std::vector<std::pair<std::string, double>> list(logs.begin(), logs.end());
  std::ranges::stable_sort(list, {}, [&](const auto& entry) { return place(entry.first); });
  return list;
}

std::string number(const std::string& name, double value) {
  return name == "learning_rate" ? fmt::format("{:.3g}", value) : fmt::format("{:.4f}", value);
}

}  // namespace

Screen stderr_screen(bool quiet) {
  Screen screen;
  if (quiet) return screen;
  screen.out = &std::cerr;
  screen.seconds = [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); };
  const char* terminal = std::getenv("TERM");
  if (!::isatty(STDERR_FILENO) || !terminal || std::string_view(terminal) == "dumb") return screen;
  screen.columns = terminal_columns;
  screen.colour = !set_and_not_empty("NO_COLOR");
  return screen;
}

std::string clock_text(double seconds) {
  if (!(seconds >= 0 && seconds < 8640000)) return "?";
  const int64_t s = std::llround(seconds);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

Progress::Progress(Screen screen) : screen_(std::move(screen)) {}

Progress::~Progress() { erase(); }

void Progress::begin_epoch(Epoch epoch) {
  epoch_ = std::move(epoch);
  done_ = images_ = 0;
  if (!screen_.out) return;
  began_ = drawn_at_ = screen_.seconds();
}

void Progress::step(int64_t images, double loss) {
  ++done_, images_ += images, loss_ = loss;
  if (!screen_.out || !screen_.columns) return;
  const double now = screen_.seconds();
  if (now - drawn_at_ < kSecondsBetweenDraws && done_ < epoch_.steps) return;
  drawn_at_ = now;
  draw();
}

void Progress::end_epoch(const Logs& logs) {
  if (!screen_.out) return;
  std::string line = heading() + fmt::format("  {:.1f} s  ", screen_.seconds() - began_) + speed();
  for (const auto& [name, value] : in_reading_order(logs)) line += "  " + name + " " + number(name, value);
  message(line);
}

void Progress::message(std::string_view text) {
  if (!screen_.out) return;
  erase();
  *screen_.out << text << '\n' << std::flush;
}

std::string Progress::heading() const { return fmt::format("{} {}/{}", epoch_.name, epoch_.number, epoch_.epochs); }

std::string Progress::speed() const {
  const double seconds = screen_.seconds() - began_;
  return seconds > 0 ? fmt::format("{:.1f} images/s", double(images_) / seconds) : "? images/s";
}

// The parts that fit, the most important first: what is left is the bar's.
std::string Progress::bar_line(size_t width) const {
  const double seconds = screen_.seconds() - began_, left = seconds / double(done_) * double(epoch_.steps - done_);
  const std::string steps = std::to_string(epoch_.steps);
  const std::array<std::string, 4> parts{fmt::format(" {:>{}}/{}", done_, steps.size(), steps), "  " + speed(), fmt::format("  loss {:.4f}", loss_),
                                         "  ETA " + clock_text(left)};
  std::string before = heading(), after;
  for (const std::string& part : parts)
    if (before.size() + after.size() + part.size() <= width) after += part;
  const size_t used = before.size() + after.size(), frame = 3;  // " [" and "]"
  if (used + frame + kShortestBar <= width) {
    const size_t cells = std::min(kLongestBar, width - used - frame);
    const double share = std::clamp(double(done_) / double(std::max<int64_t>(1, epoch_.steps)), 0.0, 1.0);
    const size_t full = size_t(share * double(cells));
    std::string bar = std::string(full, '=') + std::string(cells - full, '-');
    if (full > 0 && full < cells) bar[full - 1] = '>';
    before += " [" + bar + "]";
  }
  return (before + after).substr(0, width);
}

void Progress::draw() {
  const int columns = screen_.columns();
  if (columns < 2) return;
  const std::string line = bar_line(size_t(columns) - 1);  // the last column stays free: some terminals wrap there
  const std::string blank(drawn_ > line.size() ? drawn_ - line.size() : 0, ' ');
  *screen_.out << '\r' << (screen_.colour ? "\x1b[36m" : "") << line << (screen_.colour ? "\x1b[0m" : "") << blank << std::flush;
  drawn_ = line.size();
}

void Progress::erase() {
  if (!screen_.out || drawn_ == 0) return;
  const size_t width = size_t(std::max(1, screen_.columns() - 1));  // the terminal may have become narrower than the bar
  *screen_.out << '\r' << std::string(std::min(drawn_, width), ' ') << '\r' << std::flush;
  drawn_ = 0;
}

}  // namespace ptrain
