// The report: scales and ticks, escaping, every section, and numbers that are those of report.json.
#include <set>

#include "tests/support/support.hpp"
#include "tests/train/report_fixture.hpp"
#include "train/metrics/curves.hpp"
#include "train/metrics/ranking.hpp"
#include "train/report/bands.hpp"
#include "train/report/chart.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace rep = ptrain::report;

namespace {

std::string rendered(const std::filesystem::path& folder, const rep::Pictures& pictures = simulated_pictures()) {
  const rep::Run run = rep::read_run(folder);
  rep::Page page(run, pictures);
  return rep::render(page);
}

size_t count(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

// What stands between each `before` and the next `after`.
std::vector<std::string> between(const std::string& text, const std::string& before, const std::string& after) {
  std::vector<std::string> found;
  for (size_t at = text.find(before); at != std::string::npos; at = text.find(before, at)) {
    at += before.size();
    found.push_back(text.substr(at, text.find(after, at) - at));
  }
  return found;
}

// Every element that is opened is closed, in order.
std::string unbalanced(const std::string& html) {
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at)) {
    const bool closing = html.at(++at) == '/';
    const size_t begin = at + closing;
    if (!std::isalpha(uint8_t(html.at(begin)))) continue;  // <!DOCTYPE html>
    size_t name_end = begin;
    while (std::isalnum(uint8_t(html.at(name_end)))) ++name_end;
    const std::string name = html.substr(begin, name_end - begin);
    for (bool quoted = false; html.at(at) != '>' || quoted; ++at) quoted ^= html[at] == '"';
    if (name == "meta" || name == "img" || name == "br" || html[at - 1] == '/') continue;
    if (!closing) open.push_back(name);
    else if (open.empty() || open.back() != name) return "</" + name + "> closes <" + (open.empty() ? "" : open.back()) + ">";
    else open.pop_back();
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

}  // namespace

TEST_CASE("a scale maps its ends to its ends") {
  const rep::Scale s{.low = 2, .high = 4, .from = 100, .to = 20};
  CHECK(s(2) == 100);
  CHECK(s(4) == 20);
  CHECK(s(3) == 60);
}

TEST_CASE("ticks are round numbers inside the axis") {
  CHECK(rep::ticks(0, 1, 5) == std::vector<double>{0, 0.2, 2 * 0.2, 3 * 0.2, 4 * 0.2, 1});
  CHECK(rep::ticks(0.5, 10.5, 8).front() == 2);
  CHECK(rep::ticks(-3, 3, 3) == std::vector<double>{-2, 0, 2});
  CHECK(rep::ticks(0.93, 0.97, 4).size() >= 3);
  CHECK(rep::ticks(1, 1) == std::vector<double>{1});
  for (const double t : rep::ticks(0.0123, 0.0457, 5)) CHECK((t >= 0.0123 && t <= 0.0457));
  CHECK(rep::tick_label(0.2, 0.2) == "0.2");
  CHECK(rep::tick_label(0, 0.05) == "0.00");
  CHECK(rep::tick_label(20, 10) == "20");
}

TEST_CASE("text is escaped and bytes that are no UTF-8 do not get through") {
  CHECK(rep::escape("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(rep::escape("Grün ✓") == "Grün ✓");
  CHECK(rep::escape("a\xff"
                    "b") ==
        "a\xef\xbf\xbd"
        "b");
  CHECK(rep::escape("\xc0\xbcscript") == "\xef\xbf\xbd\xef\xbf\xbdscript");  // an overlong <
  CHECK(rep::escape(std::string("a\0b\x1b", 4)) ==
        "a\xef\xbf\xbd"
        "b\xef\xbf\xbd");
  CHECK(rep::base64(std::vector<uint8_t>{'M', 'a', 'n'}) == "TWFu");
  CHECK(rep::base64(std::vector<uint8_t>{'M', 'a'}) == "TWE=");
  CHECK(rep::base64(std::vector<uint8_t>{'M'}) == "TQ==");
  CHECK(rep::base64({}) == "");
}

TEST_CASE("numbers are written for people") {
  CHECK(rep::fixed(0.96849, 3) == "0.968");
  CHECK(rep::fixed(std::nan(""), 3) == "–");
  CHECK(rep::thousands(2619074) == "2\u202f619\u202f074");
  CHECK(rep::thousands(999) == "999");
  CHECK(rep::duration(3.25) == "3.2 s");
  CHECK(rep::duration(725) == "12 min 5 s");
  CHECK(rep::duration(11400) == "3 h 10 min");
}

TEST_CASE("the bands of the curves hold the curves") {
  const Simulated s = simulate({"a", "b"}, "t", 150, 1.2, "bands");
  const std::vector<int32_t> labels = s.predictions.labels;
  const std::vector<double> scores = s.predictions.scores(1);
  const rep::Band roc = rep::roc_band(labels, scores, s.predictions.patients, 200);
  double area = 0;
  for (size_t i = 0; i + 1 < roc.x.size(); ++i) area += (roc.x[i + 1] - roc.x[i]) * (roc.y[i] + roc.y[i + 1]) / 2;
  CHECK(close(area, metrics::roc_auc(labels, scores), 0.01, 0));
  size_t wide = 0;
  for (size_t i = 0; i < roc.x.size(); ++i) {
    CHECK((roc.low[i] <= roc.y[i] && roc.y[i] <= roc.high[i]));
    wide += roc.high[i] > roc.low[i];
  }
  CHECK(wide > 50);
  const rep::Band pr = rep::precision_recall_band(labels, scores, s.predictions.patients, 200);
  CHECK(close(pr.y.back(), metrics::precision_recall_curve(labels, scores).precision[0], 0.2, 0));
  // By hand: 1 0 1 from the highest score down. Recall up to 1/2 has precision 1, above it 2/3.
  const rep::Band three = rep::precision_recall_band(std::vector<int32_t>{1, 0, 1}, std::vector<double>{0.9, 0.5, 0.1}, {}, 10);
  CHECK(three.y[0] == 1);
  CHECK(three.y[50] == 1);
  CHECK(close(three.y[51], 2.0 / 3, 1e-12, 0));
  const rep::Band step = rep::roc_band(std::vector<int32_t>{1, 0, 1}, std::vector<double>{0.9, 0.5, 0.1}, {}, 10);
  CHECK(step.y[0] == 0.5);
  CHECK(step.y[99] == 0.5);
  CHECK(step.y[100] == 1);
}

TEST_CASE("an experiment becomes one page with every section and nothing from elsewhere") {
  const TempDir temp;
  write_experiment(temp / "run");
  const std::string html = rendered(temp / "run");
  for (const rep::Section& s : rep::sections()) {
    CHECK(count(html, "<section id=\"" + std::string(s.id) + "\">") == 1);
    CHECK(count(html, "<a href=\"#" + std::string(s.id) + "\">") >= 1);
  }
  CHECK(rep::sections().size() == 12);
  CHECK(count(html, "class=\"absent\"") == 0);
  for (const char* figure : {"loss", "auc", "accuracy", "nets", "pairs", "roc", "precision_recall", "confusion_test",
                             "confusion_test_at_0.5", "confusion_validation", "reliability_test", "shortcut"})
    CHECK_MESSAGE(count(html, "id=\"figure-" + std::string(figure) + "\"") == 1, figure);
  CHECK(count(html, "<figcaption>") > 12);
  CHECK(html.find("http") == std::string::npos);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("url(") == std::string::npos);
  CHECK(html.find("nan") == std::string::npos);
  for (const char* attribute : {"src=\"", "href=\""})
    for (const std::string& target : between(html, attribute, "\""))
      CHECK_MESSAGE((target.starts_with("data:") || target.starts_with("#")), target.substr(0, 24));
  CHECK(unbalanced(html) == "");
  CHECK(html.find("Cannot be told apart from the best: resnet50.") != std::string::npos);
  for (const char* phrase : {"not a medical device", "one hospital", "prefers-color-scheme", "@media print", "ptrain-convert densenet121",
                             "not trained", "mobilenet_v2", "block_12_expand", "fine-tune-lr = 1e-05"})
    CHECK_MESSAGE(html.find(phrase) != std::string::npos, phrase);
}

TEST_CASE("every number of the page is that of report.json") {
  const TempDir temp;
  write_experiment(temp / "run");
  const std::string html = rendered(temp / "run");
  const rep::Json all = rep::read_run(temp / "run").all;
  size_t compared = 0;
  std::set<std::string> seen;
  for (const std::string& keyed : between(html, "<span class=\"num\" data-key=\"", "</span>")) {
    const size_t quote = keyed.find("\">");
    REQUIRE(quote != std::string::npos);
    const std::string key = keyed.substr(0, quote), shown = keyed.substr(quote + 2);
    ++compared;
    seen.insert(key);
    const rep::Json& v = rep::at(all, key);
    REQUIRE_MESSAGE(v.is_number(), key);
    if (v.is_number_integer()) CHECK_MESSAGE(shown == rep::thousands(v.get<int64_t>()), key);
    else
      CHECK_MESSAGE(std::fabs(std::stod(shown) - v.get<double>()) <= (shown.size() > 5   ? 0.00005
                                                                      : shown.size() < 5 ? 0.05
                                                                                         : 0.0005) +
                                                                         1e-12,
                    key, " is ", v.get<double>(), ", shown ", shown);
  }
  CHECK(compared > 150);
  for (const char* key :
       {"/test/auc", "/test/auc_ci95/0", "/test/sensitivity", "/test/at_0.5/accuracy", "/validation/threshold", "/compare/nets/1/val/auc",
        "/calibration/temperature", "/ledger/0/auc", "/fine_tune/rail/log_loss_difference", "/fine_tune/rail/log_loss_standard_error"})
    CHECK_MESSAGE(seen.contains(key), key);
  CHECK(html.find("<b>" + rep::thousands(all["test"]["tp"].get<int64_t>()) + "</b>") != std::string::npos);
}

TEST_CASE("the page says which half of the safety rail does not hold") {
  const TempDir temp;
  write_experiment(temp / "run");
  CHECK(rendered(temp / "run").find("does not hold") == std::string::npos);
  rep::Json all = rep::Json::parse(read_file(temp / "run/report.json"));
  all["fine_tune"]["rail"]["log_loss_holds"] = false;
  all["fine_tune"]["kept"] = false;
  write(temp / "run/report.json", all.dump());
  const std::string html = rendered(temp / "run");
  const size_t row = html.find("log loss is not higher by more than a standard error");
  REQUIRE(row != std::string::npos);
  CHECK(html.find("<b>does not hold</b>", row) != std::string::npos);
  CHECK(html.find("<b>not</b> kept") != std::string::npos);
  CHECK(html.find("; this model was not kept</li>") != std::string::npos);
}

TEST_CASE("names from strangers do nothing") {
  const TempDir temp;
  const std::string evil = "<script>alert('x')</script>\"&~1/b";
  write_experiment(temp / "run", {"A\"><img src=x onerror=alert(1)>", evil});
  rep::Pictures pictures = simulated_pictures(evil);
  pictures.mistakes[0].file = "</p><script>2</script>";
  const std::string html = rendered(temp / "run", pictures);
  CHECK(html.find("<script") == std::string::npos);
  CHECK(html.find("<img src=x") == std::string::npos);
  CHECK(html.find("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;&amp;~1/b") != std::string::npos);
  CHECK(unbalanced(html) == "");
}

TEST_CASE("what a run does not have is named") {
  const TempDir temp;
  write_experiment(temp / "run", {"NORMAL", "PNEUMONIA"}, false);
  const std::string html = rendered(temp / "run", {.augmented = {}, .augmentation = "", .mistakes = {}, .missing = "the images are gone."});
  CHECK(html.find("There is no test part") != std::string::npos);
  CHECK(html.find("the images are gone.") != std::string::npos);
  CHECK(html.find("How the model does on new films is not known") != std::string::npos);
  CHECK(html.find("figure-roc") != std::string::npos);  // of the validation part
  CHECK(html.find("figure-confusion_test") == std::string::npos);

  write(temp / "empty/report.json", "{\"schema\": 1, \"data\": {\"classes\": [\"a\", \"b\"]}}");
  const std::string bare = rendered(temp / "empty");
  for (const rep::Section& s : rep::sections()) CHECK(count(bare, "<section id=\"" + std::string(s.id) + "\">") == 1);
  CHECK(bare.find("not complete") != std::string::npos);
}

TEST_CASE("folders and files that are no run are refused by name") {
  const TempDir temp;
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "nowhere"), doctest::Contains("no such folder"), Error);
  std::filesystem::create_directories(temp / "x");
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "x"), doctest::Contains("report.json"), Error);
  write(temp / "x/report.json", "{ not json");
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "x"), doctest::Contains("this is not JSON"), Error);
  write(temp / "x/report.json", "{\"schema\": 7}");
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "x"), doctest::Contains("schema"), Error);
  write_experiment(temp / "run");
  write(temp / "run/predictions_val.csv", "file,label,predicted,patient,p_NORMAL,p_PNEUMONIA\na,NORMAL,NORMAL,p,0.5,1e9\n");
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "run"), doctest::Contains("line 2"), Error);
  write(temp / "run/predictions_val.csv", "file,label,predicted,patient,p_NORMAL,p_PNEUMONIA\na,OTHER,NORMAL,p,0.5,0.5\n");
  CHECK_THROWS_WITH_AS(rep::read_run(temp / "run"), doctest::Contains("OTHER"), Error);
}

TEST_CASE("every figure has its table beside it") {
  const TempDir temp;
  write_experiment(temp / "run");
  const rep::Run run = rep::read_run(temp / "run");
  rep::write_report(run, simulated_pictures());
  const std::string html = read_file(temp / "run/report.html");
  const std::vector<std::string> figures = between(html, "<figure id=\"figure-", "\"");
  for (const std::string& figure : figures)
    CHECK_MESSAGE(parse_csv(read_file(temp / "run" / "figures" / (figure + ".csv")), figure).size() >= 2, figure);
  CHECK(figures.size() >= 14);
}
