// defines: Chart, a drawing with two axes as inline SVG
#pragma once

#include <string>
#include <vector>

namespace ptrain::report {

// From values to places on the page; `from` may be larger than `to`.
struct Scale {
  double low = 0, high = 1;  // of the values
  double from = 0, to = 1;   // of the page
  double operator()(double value) const { return from + (value - low) / (high - low) * (to - from); }
};

// Round numbers (1, 2 or 5 times a power of ten apart) from `low` to `high`, both inside, about `count` of them.
std::vector<double> ticks(double low, double high, int count = 5);
std::string tick_label(double value, double step);  // as many decimals as the step needs

struct Axis {
  std::string label;
  double low = 0, high = 1;
  int ticks = 5;
};

struct Point {
  double x = 0, y = 0;
};

// Colours are numbers of a palette that all kinds of colour blindness tell apart (Okabe and Ito, 2008); the page's style gives them their
// values for light, dark and paper. Lines also differ by dashes, points by shape, so that nothing hangs on colour alone.
struct Look {
  int colour = 0;  // 0 to 5
  bool dashed = false;
  double width = 2;
};

class Chart {
 public:
  Chart(Axis x, Axis y, double width = 440, double height = 300);

  void line(const std::vector<Point>& points, Look look, const std::string& label = "");
  void band(const std::vector<Point>& low, const std::vector<Point>& high, int colour);  // both from left to right
  void bar(double x0, double x1, double y, int colour, double from = 0);
  void error_bar(Point at, double low, double high, int colour);                  // vertical
  void mark(Point at, int colour, const std::string& label = "", int shape = 0);  // shape 0: disc, 1: diamond, 2: square
  void reference(Point a, Point b);                                               // a thin grey dashed line
  void vertical(double x, const std::string& label);
  void note(Point at, const std::string& text, const std::string& anchor = "start");

  // `title` is read out by screen readers and shown on hover.
  std::string svg(const std::string& title) const;

 private:
  struct Entry {
    std::string label;
    Look look;
    int shape = -1;  // a point
  };
  std::string axes() const;
  std::string legend() const;
  std::string path(const std::vector<Point>& points, bool first = true) const;

  Axis x_axis_, y_axis_;
  double width_, height_;
  Scale x_, y_;
  std::string body_;
  std::vector<Entry> entries_;
};

// Rows of an estimate with its interval.
struct ForestRow {
  std::string label;
  double value = 0, low = 0, high = 0;  // NaN: there is none
  int colour = 0;
  bool strong = false;  // the one that was chosen
  std::string group;    // a title above the row, when it differs from the row before
};
// A forest plot. `reference` (NaN: none) is a vertical line, such as "no difference".
std::string forest(const std::vector<ForestRow>& rows, Axis x, double reference, const std::string& title);

}  // namespace ptrain::report
