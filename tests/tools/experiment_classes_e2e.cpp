// An experiment with three classes, and one on a folder as folders are: pictures of every kind, one that is broken, a class of one file.
#include "tests/data/make_images.hpp"
#include "tests/support/browser.hpp"
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

// NORMAL, bacteria and virus, as the names of the films tell them.
void make_three(const fs::path& dir, size_t train, size_t test) {
  for (const auto& [part, n] : {std::pair("train", train), std::pair("test", test)}) {
    std::map<std::string, std::vector<fs::path>> films;
    for (const char* label : {"NORMAL", "PNEUMONIA"})
      for (const auto& file : fs::directory_iterator(sample() / "chest_xray" / part / label)) {
        const std::string name = file.path().filename().string();
        films[std::string(label) == "NORMAL"               ? label
              : name.find("bacteria") != std::string::npos ? "bacteria"
                                                           : "virus"]
            .push_back(file.path());
      }
    for (auto& [label, files] : films) {
      std::sort(files.begin(), files.end());
      fs::create_directories(dir / part / label);
      for (size_t i = 0; i < n; ++i) fs::copy_file(files.at(i), dir / part / label / files[i].filename());
    }
  }
}

std::vector<std::string> quick(const fs::path& data, const fs::path& out, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"--weights", "formula", "--nets", "mobilenet_v2"});
  return quick_experiment("experiment", data, out, more);
}

}  // namespace

TEST_CASE("an experiment of three classes reports means and each class") {
  const TempDir temp;
  make_three(temp / "data", 14, 6);
  std::vector<std::string> options = quick(temp / "data", temp / "run", {"--weights-dir", sample().string()});
  *std::find(options.begin(), options.end(), "mobilenet_v2") = "mobilenet_v2,vgg16";
  const Finished f = run_ptrain(options);
  INFO(f.err);
  REQUIRE(f.code == 0);
  const Json j = Json::parse(read_file(temp / "run/report.json"));
  CHECK(j["complete"] == true);
  CHECK(j["data"]["classes"] == Json({"NORMAL", "bacteria", "virus"}));
  for (const Json& e : {j["test"], j["validation"], j["fine_tune"]["before"], j["fine_tune"]["after"], j["compare"]["nets"][0]["val"]}) {
    REQUIRE(e["per_class"].size() == 3);
    for (const Json& one : e["per_class"])
      for (const char* metric : {"sensitivity", "specificity", "auc", "average_precision"}) CHECK(one.contains(metric));
    CHECK(e["confusion"].size() == 3);
    for (const char* metric :
         {"accuracy", "balanced_accuracy", "auc", "average_precision", "f1", "mcc", "brier", "log_loss", "ece_confidence"})
      CHECK_MESSAGE(e[metric].is_number(), metric);
    double mean = 0;
    for (const Json& one : e["per_class"]) mean += one["auc"].get<double>() / 3;
    CHECK(e["auc"].get<double>() == doctest::Approx(mean).epsilon(1e-12));
    CHECK(e["threshold"].is_null());
  }
  CHECK(j["test"]["n"] == 18);
  CHECK(j["calibration"]["threshold"].is_null());
  CHECK(j["compare"]["pairs"][0]["delong_p"].is_null());  // DeLong's test is for two classes
  CHECK(j["compare"]["pairs"][0]["mcnemar_p"].is_number());
  CHECK(j["fine_tune"]["rail"]["log_loss_standard_error"].is_number());
  CHECK(j["audit"]["shortcut"]["auc"].is_number());

  const std::string html = read_file(temp / "run/report.html");
  for (const char* there :
       {"decided<br>bacteria", "is virus", "Each class against all others, test", "Each class against all others, validation",
        "mean sensitivity", "figure-confusion_test", "figure-reliability_test", "figure-roc"})
    CHECK_MESSAGE(html.find(there) != std::string::npos, there);
  CHECK(html.find(">nan") == std::string::npos);

  const fs::path film = fs::directory_iterator(temp / "data/test/virus")->path();
  const Finished p = run_ptrain(
      {"predict", "--model", (temp / "run/best.h5").string(), film.string(), "--json", "--quiet", "--prior-shift=0.5,0.25,0.25"});
  CHECK(Json::parse(p.out)[0]["probabilities"].size() == 3);
  CHECK(Json::parse(p.out)[0]["prior_shift"]["shares"]["NORMAL"] == 0.5);
}

TEST_CASE("the report of three classes fits a desk and a phone") {
  if (browser().empty()) return skip("chromium", "no Chromium here: apt-get install chromium");
  const TempDir temp;
  make_three(temp / "data", 10, 4);
  const Finished f = run_ptrain(quick(temp / "data", temp / "run"));
  INFO(f.err);
  REQUIRE(f.code == 0);
  for (const int width : {1280, 390}) {
    const Json seen = measure(temp.path(), read_file(temp / "run/report.html"), width);
    INFO("at ", width, ": ", seen.dump());
    CHECK(seen["width"] == width);
    CHECK(seen["scroll"].get<int>() <= width);
    CHECK(seen["sections"] == 12);
    CHECK(seen["broken"] == 0);
    CHECK(seen["out"].empty());
  }
}

TEST_CASE("an experiment takes pictures of every kind and names the one that is broken") {
  const TempDir temp;
  make_data(temp / "data/train", 10);
  make_data(temp / "data/test", 4, "test");
  const fs::path normal = temp / "data/train/NORMAL", pneumonia = temp / "data/train/PNEUMONIA";
  write_bytes(normal / "IM-9001-0001.png", png(picture(90, 120, 1, 1)));  // grey
  write_bytes(normal / "IM-9002-0001.png",
              png(80, 70, {.bits = 16, .colour = 0}, [](int64_t y, int64_t x, int) { return uint32_t(y * 700 + x * 50); }));  // 16 bits
  write_bytes(pneumonia / "person9003_virus_1.jpeg", jpeg(picture(100, 90, 4, 2), {.stored = "CMYK"}));
  write_bytes(pneumonia / "person9004_virus_1.bmp", bmp(picture(70, 75, 3, 3)));
  const Finished good = run_ptrain(quick(temp / "data", temp / "good"));
  INFO(good.err);
  REQUIRE(good.code == 0);
  const Json j = Json::parse(read_file(temp / "good/report.json"));
  CHECK(j["data"]["parts"]["train"]["n"].get<int>() + j["data"]["parts"]["val"]["n"].get<int>() == 24);
  CHECK(j["audit"]["types"]["PNG"] == 2);
  CHECK(j["audit"]["types"]["BMP"] == 1);
  CHECK(j["audit"]["modes"]["CMYK"] == 1);

  const std::string whole = read_file(fs::directory_iterator(normal)->path());
  write_file(normal / "IM-9005-0001.jpeg", whole.substr(0, whole.size() / 2));
  const Finished bad = run_ptrain(quick(temp / "data", temp / "bad"));
  CHECK(bad.code == 3);
  CHECK(bad.err.find("IM-9005-0001.jpeg") != std::string::npos);
  CHECK(bad.err.find("--bad-images skip") != std::string::npos);
  const Finished skipped = run_ptrain(quick(temp / "data", temp / "skipped", {"--bad-images", "skip"}));
  INFO(skipped.err);
  REQUIRE(skipped.code == 0);
  const Json s = Json::parse(read_file(temp / "skipped/report.json"));
  CHECK(s["audit"]["bad"].size() == 1);
  CHECK(s["validation"]["n"].get<int>() + s["compare"]["nets"][0]["train"]["n"].get<int>() <= 24);
  CHECK(read_file(temp / "skipped/log.txt").find("IM-9005-0001.jpeg") != std::string::npos);
}

TEST_CASE("a class of one file is refused before any work") {
  const TempDir temp;
  make_data(temp / "data", 8);
  fs::create_directories(temp / "data/TB");
  fs::copy_file(fs::directory_iterator(temp / "data/NORMAL")->path(), temp / "data/TB/person1_tb_1.jpeg");
  const Finished f = run_ptrain(quick(temp / "data", temp / "run"));
  INFO(f.err);
  CHECK(f.code == 3);
  CHECK(f.err.find("TB") != std::string::npos);
  CHECK_FALSE(fs::exists(temp / "run/nets"));
}
