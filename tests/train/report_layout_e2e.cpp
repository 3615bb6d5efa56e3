// The report in a real browser, at the width of a desk and of a phone: nothing may stick out to the right.
#include "tests/support/browser.hpp"
#include "tests/train/report_fixture.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace rep = ptrain::report;

TEST_CASE("the report fits a desk and a phone") {
  if (browser().empty()) return skip("chromium", "no Chromium here: apt-get install chromium");
  const TempDir temp;
  write_experiment(temp / "run", {"NORMAL", "PNEUMONIA"});
  write_experiment(temp / "long",
                   {"normal-without-any-finding-in-the-lungs", "a_class_name_that_never_ends_and_has_no_place_to_break_in_it"});
  for (const char* name : {"run", "long"}) {
    const rep::Run run = rep::read_run(temp / name);
    const rep::Pictures pictures = simulated_pictures(run.classes()[1]);
    rep::Page page(run, pictures);
    const std::string html = rep::render(page);
    for (const int width : {1280, 390}) {
      const nlohmann::json seen = measure(temp / name, html, width);
      INFO(name, " at ", width, ": ", seen.dump());
      CHECK(seen["width"] == width);
      CHECK(seen["scroll"].get<int>() <= width);
      CHECK(seen["sections"] == 12);
      CHECK(seen["broken"] == 0);
      CHECK(seen["out"].empty());
    }
  }
}
