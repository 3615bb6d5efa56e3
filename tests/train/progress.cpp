#include "train/progress.hpp"

#include <sstream>

#include "tests/support/support.hpp"

namespace ptrain {
namespace {

// A terminal whose width and clock the test sets.
struct Terminal {
  std::ostringstream out;
  int columns = 100;
  double now = 0;
  Screen screen(bool terminal, bool colour = false) {
    Screen s{.out = &out, .columns = {}, .colour = colour, .seconds = [this] { return now; }};
    if (terminal) s.columns = [this] { return columns; };
    return s;
  }
  std::string taken() {
    std::string text = out.str();
    out.str("");
    return text;
  }
};

// What a person sees in the end: \r goes back to the first column, later characters overwrite.
std::string seen(const std::string& text) {
  std::string result, line;
  size_t at = 0;
  for (char c : text) {
    if (c == '\r') at = 0;
    else if (c == '\n') result += line + "\n", line.clear(), at = 0;
    else {
      if (at == line.size()) line += ' ';
      line[at++] = c;
    }
  }
  return result + line;
}

}  // namespace

TEST_CASE("a bar shows epoch and steps and speed and loss and time left") {
  Terminal t;
  Progress p(t.screen(true));
  p.begin_epoch({.name = "fine-tune", .number = 3, .epochs = 10, .steps = 160});
  t.now = 1;
  p.step(32, 0.25);
  CHECK(seen(t.taken()) == "fine-tune 3/10 [------------------------------]   1/160  32.0 images/s  loss 0.2500  ETA 2:39");
  for (int i = 2; i <= 80; ++i) t.now = 10, p.step(32, 0.125);
  CHECK(seen(t.taken()).find("[==============>---------------]") == std::string::npos);  // drawn once, at the first of them: 2 of 160
  t.now = 10.2;
  p.step(32, 0.125);
  CHECK(seen(t.taken()) == "fine-tune 3/10 [==============>---------------]  81/160  254.1 images/s  loss 0.1250  ETA 0:10");
}

TEST_CASE("a bar is drawn ten times a second and at the last step") {
  Terminal t;
  Progress p(t.screen(true));
  p.begin_epoch({.name = "head", .steps = 1000});
  for (int i = 0; i < 999; ++i) t.now += 0.001, p.step(1, 1);
  const std::string text = t.taken();
  CHECK(std::ranges::count(text, '\r') <= 10);
  CHECK(std::ranges::count(text, '\r') >= 9);
  p.step(1, 1);
  CHECK(t.taken().find("1000/1000") != std::string::npos);
}

TEST_CASE("a bar never fills the line and gives way to the numbers") {
  for (int columns = 1; columns <= 130; ++columns) {
    CAPTURE(columns);
    Terminal t;
    t.columns = columns;
    Progress p(t.screen(true));
    p.begin_epoch({.name = "fine-tune", .number = 3, .epochs = 10, .steps = 160});
    t.now = 1;
    p.step(32, 0.25);
    const std::string line = seen(t.taken());
    CHECK(line.size() < size_t(std::max(2, columns)));
    if (columns >= 16) CHECK(line.starts_with("fine-tune 3/10"));
    if (columns >= 70) CHECK(line.ends_with("ETA 2:39"));
    if (columns >= 85) CHECK(line.find('[') != std::string::npos);
  }
}

TEST_CASE("the line of an epoch stays and messages stand above the bar") {
  Terminal t;
  {
    Progress p(t.screen(true));
    p.begin_epoch({.name = "head", .number = 1, .epochs = 2, .steps = 4});
    t.now = 2;
    p.step(32, 0.5);
    p.message("saved best.h5");
    CHECK(seen(t.out.str()).starts_with("saved best.h5"));
    t.now = 4;
    p.step(32, 0.4);
    p.end_epoch({{"val_auc", 0.98765}, {"loss", 0.41234}, {"accuracy", 0.9}, {"learning_rate", 1e-5}, {"val_loss", 0.3}});
    const std::string text = seen(t.out.str());
    CHECK(text.find("head 1/2  4.0 s  16.0 images/s  loss 0.4123  accuracy 0.9000  val_loss 0.3000  val_auc 0.9877  learning_rate 1e-05") !=
          std::string::npos);
    p.begin_epoch({.name = "head", .number = 2, .epochs = 2, .steps = 4});
    t.now = 5;
    t.out.str("");
    p.step(32, 0.3);
    CHECK(seen(t.out.str()).starts_with("head 2/2"));
  }
  CHECK(seen(t.out.str()).find_first_not_of(' ') == std::string::npos);  // the destructor wiped the bar
  CHECK(t.out.str().ends_with('\r'));
}

TEST_CASE("without a terminal there is one line an epoch and no control character") {
  Terminal t;
  Progress p(t.screen(false, true));
  p.begin_epoch({.name = "head", .number = 1, .epochs = 1, .steps = 2});
  for (int i = 0; i < 2; ++i) t.now += 1, p.step(8, 0.5);
  CHECK(t.out.str().empty());
  p.end_epoch({{"loss", 0.5}, {"accuracy", NAN}});
  CHECK(t.out.str() == "head 1/1  2.0 s  8.0 images/s  loss 0.5000  accuracy nan\n");
}

TEST_CASE("colour is only there when it is asked for") {
  for (bool colour : {false, true}) {
    Terminal t;
    Progress p(t.screen(true, colour));
    p.begin_epoch({.steps = 2});
    t.now = 1;
    p.step(1, 1);
    CHECK((t.out.str().find('\x1b') != std::string::npos) == colour);
  }
}

TEST_CASE("quiet shows nothing and asks no clock") {
  Progress p(stderr_screen(true));
  p.begin_epoch({.steps = 1});
  p.step(1, 1);
  p.end_epoch({{"loss", 1}});
  p.message("nobody hears this");
  CHECK(stderr_screen(true).out == nullptr);
  CHECK(stderr_screen(false).out != nullptr);
}

TEST_CASE("times are written as clocks show them") {
  CHECK(clock_text(0) == "0:00");
  CHECK(clock_text(59.6) == "1:00");
  CHECK(clock_text(3599.4) == "59:59");
  CHECK(clock_text(3725) == "1:02:05");
  for (double unknown : {-1.0, double(NAN), double(INFINITY), 1e12}) CHECK(clock_text(unknown) == "?");
}

}  // namespace ptrain
