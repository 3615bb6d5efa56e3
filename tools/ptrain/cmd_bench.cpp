// ptrain bench: how fast this machine runs and trains the nets, and what bounds each layer.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <iostream>

#include <nlohmann/json.hpp>

#include "tools/ptrain/bench_run.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

struct BenchOptions {
  std::vector<std::string> net = {"all"}, mode = {"infer", "frozen", "fine-tune", "full"}, precision = {"fp32"};
  int64_t batch = 32, threads = 0, show = 20;
  double seconds = 10;
  std::string bn = "frozen", conv = "auto";
  bool layers = false, json = false;
};

// Runs `work` in a process of its own, so that memory and first steps are those of this case alone. Gives what it returned, with rss_mb.
Json in_own_process(const std::function<Json()>& work) {
  int ends[2];
  if (pipe(ends) != 0) fail(ErrorKind::device, "bench: no pipe to a process of its own: ", std::strerror(errno));
  const pid_t child = fork();
  if (child < 0) fail(ErrorKind::device, "bench: no process of its own: ", std::strerror(errno));
  if (child == 0) {
    close(ends[0]);
    Json j;
    try {
      j = work();
    } catch (const Error& e) {
      j = {{"error", e.what()}, {"kind", int(e.kind())}};
    } catch (const std::exception& e) {
      j = {{"error", e.what()}, {"kind", int(ErrorKind::failed)}};
    }
    const std::string text = j.dump();
    for (size_t at = 0; at < text.size();) {
      const ssize_t n = write(ends[1], text.data() + at, text.size() - at);
      if (n <= 0) _exit(1);
      at += size_t(n);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    text.append(buffer, size_t(n));
  }
  close(ends[0]);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {}
  if (text.empty() || !WIFEXITED(status))
    fail(ErrorKind::device, "bench: the process of this case died (signal ", WIFSIGNALED(status) ? WTERMSIG(status) : 0,
         "); is there enough memory?");
  Json j = Json::parse(text);
  if (j.contains("error")) fail(ErrorKind(j["kind"].get<int>()), j["error"].get<std::string>());
  j["rss_mb"] = usage.ru_maxrss / 1024;
  return j;
}

Json to_json(const Machine& m) {
  return {{"peak_gflops", m.peak_gflops}, {"cache_gb_per_s", m.cache_gb_per_s}, {"memory_gb_per_s", m.memory_gb_per_s}};
}
Machine machine_of(const Json& j) { return {j["peak_gflops"], j["cache_gb_per_s"], j["memory_gb_per_s"]}; }

double rounded(double v, double unit) { return std::round(v / unit) * unit; }
double tenths(double v) { return std::round(v * 10) / 10; }
double thousandths(double v) { return std::round(v * 1000) / 1000; }

Json row(const BenchCase& b, const Machine& m) {
  const BenchResult r = run_bench(b);
  return {{"net", b.net},
          {"mode", b.mode},
          {"precision", b.precision},
          {"batch", b.batch},
          {"threads", b.threads},
          {"images_per_s_best", std::round(r.images_per_s_best * 100) / 100},
          {"images_per_s_median", std::round(r.images_per_s_median * 100) / 100},
          {"gflops", tenths(r.gflops)},
          {"peak_gflops", tenths(m.peak_gflops)},
          {"share", thousandths(r.gflops / m.peak_gflops)},
          {"rss_mb", 0},
          {"first_step_s", thousandths(r.first_step_s)},
          {"cpu_per_wall", thousandths(r.cpu_per_wall)},
          {"images_per_cpu_s", std::round(r.images_per_cpu_s * 100) / 100}};
}

// The roofline: the least time that arithmetic needs, and that the bytes need from where they can lie at best.
Json layer_row(const LayerTime& l, const Machine& one) {
  const bool in_cache = l.bytes <= 1 << 20;
  const double arithmetic = double(l.flops) / (one.peak_gflops * 1e9),
               traffic = double(l.bytes) / ((in_cache ? one.cache_gb_per_s : one.memory_gb_per_s) * 1e9);
  return {{"layer", l.layer},
          {"op", l.op},
          {"ms", thousandths(l.seconds * 1e3)},
          {"mflop", rounded(double(l.flops) / 1e6, 0.01)},
          {"kb", rounded(double(l.bytes) / 1024, 0.1)},
          {"gflops", l.seconds > 0 ? tenths(double(l.flops) / l.seconds / 1e9) : 0.0},
          {"gb_per_s", l.seconds > 0 ? tenths(double(l.bytes) / l.seconds / 1e9) : 0.0},
          {"bound", arithmetic >= traffic ? "arithmetic"
                    : in_cache            ? "cache"
                                          : "memory"},
          {"share_of_bound", l.seconds > 0 ? thousandths(std::max(arithmetic, traffic) / l.seconds) : 0.0}};
}

Json layer_table(const BenchCase& b, const Machine& one) {
  Json rows = Json::array();
  for (const LayerTime& l : time_layers(b)) rows.push_back(layer_row(l, one));
  return {{"layers", rows}};
}

void print_layers(const BenchCase& b, const Json& rows, int64_t show) {
  double total = 0;
  for (const Json& r : rows) total += r["ms"].get<double>();
  const std::string what = b.mode == "infer" ? "inference of one image" : concat("a ", b.mode, " step of ", b.batch, " images");
  fmt::print("\n{}, {} on one thread: {:.2f} ms in {} operations\n", b.net, what, total, rows.size());
  fmt::print("{:<32}{:<24}{:>9}{:>7}{:>10}{:>10}{:>9}{:>8}  {:<11}{:>9}\n", "layer", "operation", "ms", "share", "MFLOP", "KB", "GFLOP/s",
             "GB/s", "bound", "of bound");
  for (size_t i = 0; i < rows.size() && int64_t(i) < show; ++i) {
    const Json& r = rows[i];
    fmt::print("{:<32}{:<24}{:>9.3f}{:>6.1f}%{:>10.2f}{:>10.1f}{:>9.1f}{:>8.1f}  {:<11}{:>8.0f}%\n", r["layer"].get<std::string>(),
               r["op"].get<std::string>(), r["ms"].get<double>(), 100 * r["ms"].get<double>() / total, r["mflop"].get<double>(),
               r["kb"].get<double>(), r["gflops"].get<double>(), r["gb_per_s"].get<double>(), r["bound"].get<std::string>(),
               100 * r["share_of_bound"].get<double>());
  }
}

void check(const BenchOptions& o) {
  for (const std::string& m : o.mode)
    if (m != "infer" && m != "frozen" && m != "fine-tune" && m != "full")
      fail(ErrorKind::usage, "--mode ", m, ": known are infer, frozen, fine-tune, full");
  if (o.batch < 1 || o.batch > 4096) fail(ErrorKind::usage, "--batch must lie in 1 … 4096, not ", o.batch);
  if (!(o.seconds >= 0 && o.seconds <= 3600)) fail(ErrorKind::usage, "--seconds must lie in 0 … 3600, not ", o.seconds);
  if (o.show < 1) fail(ErrorKind::usage, "--show must be at least 1");
  parse_bn_mode(o.bn);
  for (const std::string& p : o.precision) compute_type(p);
}

std::vector<std::string> nets_of(const BenchOptions& o) {
  std::vector<std::string> nets;
  for (const std::string& name : o.net)
    if (name == "all")
      for (const NetInfo& net : net_table()) nets.push_back(net.name);
    else nets.push_back(find_net(name).name);
  return nets;
}

void run(const BenchOptions& o) {
  check(o);
  const int threads = choose_threads(o.threads);
  Json all = Json::array();
  for (const std::string& precision : o.precision) {
    const Machine machine = machine_of(in_own_process([&] { return to_json(measure_machine(threads, compute_type(precision))); }));
    const Machine one =
        o.layers ? machine_of(in_own_process([&] { return to_json(measure_machine(1, compute_type(precision))); })) : Machine{};
    if (!o.json) {
      fmt::print("{} thread{}, {}: {:.0f} GFLOP/s, cache {:.0f} GB/s, memory {:.1f} GB/s\n", threads, threads == 1 ? "" : "s", precision,
                 machine.peak_gflops, machine.cache_gb_per_s, machine.memory_gb_per_s);
      fmt::print("{:<14}{:<11}{:>6}{:>14}{:>9}{:>9}{:>7}{:>9}{:>14}{:>10}{:>14}\n", "net", "mode", "batch", "images/s best", "median",
                 "GFLOP/s", "share", "RSS MB", "first step s", "CPU/wall", "images/CPU s");
    }
    for (const std::string& net : nets_of(o)) {
      const BenchCase base{.net = net,
                           .mode = "",
                           .precision = precision,
                           .bn = o.bn,
                           .conv = o.conv,
                           .batch = o.batch,
                           .threads = threads,
                           .seconds = o.seconds};
      for (const std::string& mode : o.mode) {
        BenchCase b = base;
        b.mode = mode;
        const Json j = in_own_process([&] { return row(b, machine); });
        all.push_back(j);
        const Json layers = o.layers ? in_own_process([&] { return layer_table(b, one); })["layers"] : Json();
        if (o.layers) all.back()["layers"] = layers;
        if (o.json) continue;
        fmt::print("{:<14}{:<11}{:>6}{:>14.2f}{:>9.2f}{:>9.1f}{:>6.0f}%{:>9}{:>14.3f}{:>10.2f}{:>14.2f}\n", net, mode, o.batch,
                   j["images_per_s_best"].get<double>(), j["images_per_s_median"].get<double>(), j["gflops"].get<double>(),
                   100 * j["share"].get<double>(), j["rss_mb"].get<int64_t>(), j["first_step_s"].get<double>(),
                   j["cpu_per_wall"].get<double>(), j["images_per_cpu_s"].get<double>());
        if (o.layers) print_layers(b, layers, o.show);
        std::fflush(stdout);
      }
    }
  }
  if (o.json) std::cout << all.dump(2) << "\n";
}

}  // namespace

std::unique_ptr<Command> bench_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "bench", "measure how fast this machine runs and trains the nets",
                                "  ptrain bench\n"
                                "  ptrain bench --net mobilenet_v2,vgg16 --mode infer,frozen --json\n"
                                "  ptrain bench --net densenet121 --mode infer --layers      # the slowest layers, and what bounds them");
  const auto o = std::make_shared<BenchOptions>();
  command->option("--net", o->net, "nets, or all");
  command->option(
      "--mode", o->mode,
      "infer, frozen (head on the frozen base, augmented), fine-tune (top 30 %, augmented), full (everything, batch statistics)");
  command->option("--batch", o->batch, "images in a step");
  command->option("--precision", o->precision, "fp32, bf16");
  command->option("--threads", o->threads, "threads on the CPU (0: all processors)");
  command->option("--bn", o->bn, "batch norms in fine-tune: frozen (as the Keras script has them), inference");
  command->option("--conv", o->conv, kConvHelp);
  command->option("--seconds", o->seconds, "how long steps are timed: at least 3 steps, at most 15");
  command->flag("--layers", o->layers, "the slowest operations of each mode, on one thread, with bytes, FLOPs and which bound holds");
  command->option("--show", o->show, "how many operations");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
