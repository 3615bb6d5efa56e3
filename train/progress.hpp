// defines: Progress, what a person sees of a training while it runs
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "train/logs.hpp"

namespace ptrain {

// Where progress is shown. Tests put in a string stream and a clock of their own.
struct Screen {
  std::ostream* out = nullptr;   // null: nothing is shown (--quiet)
  std::function<int()> columns;  // width of the terminal; empty, or 0: not a terminal
  bool colour = false;
  std::function<double()> seconds;  // a clock that never goes back
};
// Standard error. A bar on a terminal that can move its cursor (TERM is set and not "dumb"), lines otherwise; no colour when NO_COLOR is
// set and not empty (no-color.org).
Screen stderr_screen(bool quiet);

// On a terminal, drawn again in place at most ten times a second and never wider than the terminal:
//   fine-tune 3/10 [========>-----------]  71/163  118.3 images/s  loss 0.2143  ETA 0:25
// At the end of each epoch, on a terminal or not, one line that stays:
//   fine-tune 3/10  44.1 s  118.3 images/s  loss 0.2143  accuracy 0.9231  val_loss 0.1811  val_auc 0.9871
class Progress {
 public:
  explicit Progress(Screen screen);
  ~Progress();  // leaves no half-drawn bar behind
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  struct Epoch {
    std::string name;    // of the stage
    int64_t number = 1;  // from 1, as people count
    int64_t epochs = 1;
    int64_t steps = 1;
  };
  void begin_epoch(Epoch epoch);
  void step(int64_t images, double loss);  // one more step is done; its images, and the loss to show (the mean of the epoch so far)
  void end_epoch(const Logs& logs);
  void message(std::string_view text);  // a line of its own, above the bar

 private:
  std::string heading() const;
  std::string speed() const;
  std::string bar_line(size_t width) const;
  void draw();
  void erase();

  Screen screen_;
  Epoch epoch_;
  int64_t done_ = 0, images_ = 0;
  double began_ = 0, drawn_at_ = 0, loss_ = 0;
  size_t drawn_ = 0;  // columns that the bar fills now; 0 when there is none
};

// "0:07", "12:34", "1:02:03"; "?" for what is not known (negative, NaN, over 100 days).
std::string clock_text(double seconds);

}  // namespace ptrain
