// report, explain and predict as a user runs them, on a model of a second.
#include <algorithm>

#include "data/csv.hpp"
#include "data/image.hpp"
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Trained {
  Trained() {
    make_data(temp / "data", 8);
    const Finished f = run_ptrain(quick_training(temp / "data", temp / "run", {"--augment", "strong"}));
    INFO(f.err);
    REQUIRE(f.code == 0);
  }
  std::string model() const { return (temp / "run/best.h5").string(); }
  std::string data() const { return (temp / "data").string(); }
  TempDir temp;
};

}  // namespace

TEST_CASE("report of a plain training") {
  const Trained t;
  REQUIRE(run_ptrain({"evaluate", "--model", t.model(), "--data", t.data(), "--quiet"}).code == 0);
  const Finished f = run_ptrain({"report", (t.temp / "run").string(), "--quiet"});
  INFO(f.err);
  REQUIRE(f.code == 0);
  CHECK(f.err == "");
  CHECK(f.out == (t.temp / "run/report.html").string() + "\n");
  const std::string html = read_file(t.temp / "run/report.html");
  for (const char* there :
       {"figure-loss", "figure-roc", "figure-confusion_validation", "figure-reliability_validation", "draw 6", "mobilenet_v2", "seed = 0",
        "no data audit", "There is no test part", "<code>strong</code>", "There is <b>1</b>"})
    CHECK_MESSAGE(html.find(there) != std::string::npos, there);
  CHECK(html.find("http") == std::string::npos);
  for (const char* csv : {"loss", "roc", "precision_recall", "reliability_validation", "confusion_validation"})
    CHECK(std::filesystem::exists(t.temp / "run/figures" / (std::string(csv) + ".csv")));

  // The images have gone: everything else is still there, and the page says why.
  std::filesystem::rename(t.temp / "data", t.temp / "moved");
  const Finished gone = run_ptrain({"report", (t.temp / "run").string(), "--quiet"});
  CHECK(gone.code == 0);
  CHECK(gone.err.find("without pictures: the images are not at") != std::string::npos);
  CHECK(read_file(t.temp / "run/report.html").find("the images are not at") != std::string::npos);
  const Finished moved = run_ptrain({"report", (t.temp / "run").string(), "--quiet", "--data", (t.temp / "moved").string()});
  CHECK(moved.err == "");
  CHECK(read_file(t.temp / "run/report.html").find("draw 6") != std::string::npos);
  CHECK(run_ptrain({"report", (t.temp / "moved").string()}).code == 3);
}

TEST_CASE("explain writes pictures that decode and a table of them") {
  const Trained t;
  write_file(t.temp / "data/NORMAL/bad.jpeg", "not an image");
  for (const char* method : {"grad-cam", "occlusion"}) {
    const std::filesystem::path out = t.temp / method;
    const Finished f = run_ptrain({"explain", "--model", t.model(), t.data() + "/NORMAL", "--out", out.string(), "--method", method,
                                   "--class", "PNEUMONIA", "--json"});
    CHECK(f.code == 3);  // for the bad one; the others were explained
    CHECK(f.err.find("bad.jpeg") != std::string::npos);
    const nlohmann::json found = nlohmann::json::parse(f.out);
    REQUIRE(found.size() == 8);
    for (const auto& one : found) {
      CHECK(one["class"] == "PNEUMONIA");
      const Image film = decode_image(one["path"].get<std::string>()), map = decode_image(one["png"].get<std::string>());
      CHECK(map.h == film.h);
      CHECK(map.w == film.w);
      CHECK(map.c == (one["peak"] > 0 ? 3 : 1));  // grey when nothing raised the score
    }
    CHECK(parse_csv(read_file(out / "explain.csv"), "explain.csv").size() == 9);
  }
  const Finished unknown = run_ptrain({"explain", "--model", t.model(), t.data(), "--out", (t.temp / "x").string(), "--layer", "block_99"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err.find("no such layer") != std::string::npos);
  CHECK(run_ptrain({"explain", "--model", t.model(), t.data(), "--out", (t.temp / "x").string(), "--class", "FLU"}).code == 2);
  CHECK(run_ptrain(
            {"explain", "--model", t.model(), t.data() + "/PNEUMONIA", "--out", (t.temp / "y").string(), "--layer", "block_6_expand_relu"})
            .code == 0);
}

TEST_CASE("predict goes on after an image that cannot be read") {
  const Trained t;
  write_file(t.temp / "bad.png", "\x89PNG\r\n\x1a\n");
  const std::string good = (std::filesystem::directory_iterator(t.temp / "data/NORMAL")->path()).string(),
                    bad = (t.temp / "bad.png").string(), missing = (t.temp / "missing.bmp").string();
  const Finished csv = run_ptrain({"predict", "--model", t.model(), bad, good, missing, "--csv"});
  CHECK(csv.code == 3);
  CHECK(csv.err.find("2 of 3 images could not be read") != std::string::npos);
  const std::vector<CsvRow> rows = parse_csv(csv.out, "predict");
  REQUIRE(rows.size() == 4);
  CHECK(rows[0] == CsvRow{"path", "class", "NORMAL", "PNEUMONIA", "positive", "threshold", "temperature", "prior_shift", "views", "error"});
  CHECK(rows[1][0] == bad);
  CHECK(rows[1][9] != "");
  CHECK(rows[2][0] == good);
  CHECK(rows[2][9] == "");
  CHECK(rows[3][0] == missing);

  const nlohmann::json one = nlohmann::json::parse(run_ptrain({"predict", "--model", t.model(), good, "--json"}).out)[0];
  const double p = one["probability"], threshold = WeightFileReader(t.model()).number("threshold");
  CHECK(one["threshold"] == threshold);
  CHECK(one["class"] == (p >= threshold ? "PNEUMONIA" : "NORMAL"));
  CHECK(one["probabilities"]["PNEUMONIA"] == p);
  CHECK(nlohmann::json::parse(run_ptrain({"predict", "--model", t.model(), good, "--json", "--threshold", "0"}).out)[0]["class"] ==
        "PNEUMONIA");
  CHECK(nlohmann::json::parse(run_ptrain({"predict", "--model", t.model(), good, "--json", "--threshold", "1"}).out)[0]["class"] ==
        "NORMAL");
  CHECK(run_ptrain({"predict", "--model", t.model(), good, "--threshold", "2"}).code == 2);

  const nlohmann::json flip = nlohmann::json::parse(run_ptrain({"predict", "--model", t.model(), "--tta", "--json", good}).out)[0];
  CHECK(flip["views"] == 2);
  CHECK(flip["probability"] != p);
  CHECK(nlohmann::json::parse(run_ptrain({"predict", "--model", t.model(), "--tta=shifts", "--json", good}).out)[0]["views"] == 10);
  CHECK(run_ptrain({"predict", "--model", t.model(), "--tta=more", good}).code == 2);
}
