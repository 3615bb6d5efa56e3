// ptrain selftest: does a device compute what it should, and how fast. One command for whoever has a GPU.
#include <iostream>

#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/selftest.hpp"

namespace ptrain::cli {
namespace {

struct SelftestOptions {
  std::string device = "auto", precision = "all";
  bool all = false, no_speed = false, json = false;
};

using Json = nlohmann::ordered_json;

std::vector<DType> types_of(const SelftestOptions& o, const Memory& memory) {
  if (o.precision != "all") return {compute_type(o.precision, memory)};
  std::vector<DType> types;
  for (const DType t : {DType::float32, DType::bfloat16, DType::float16})
    if (memory.backend().supports(t)) types.push_back(t);
  return types;
}

void print(const SelftestCheck& c) {
  const bool skipped = c.note.starts_with("SKIPPED");
  fmt::print("{:<7} {:<10} {:<9} {:<32}", skipped ? "skipped" : c.passed ? "ok" : "FAILED", c.group, c.type, c.name);
  if (!skipped && c.tolerance > 0) fmt::print(" error {:.2e} of {:.2e}", c.error, c.tolerance);
  if (skipped || !c.passed || c.group != "operation") fmt::print("  {}", c.note);
  fmt::print("\n");
  std::cout.flush();
}

void run(const SelftestOptions& o) {
  Selftest test;
  test.memory = chosen_device(o.device, "direct");
  const DeviceKind kind = test.memory->device().kind;
  test.slow = kind == DeviceKind::reference || kind == DeviceKind::cuda_sim;
  Json checks = Json::array(), speeds = Json::array();
  int64_t failed = 0, passed = 0;
  test.report = [&](const SelftestCheck& c) {
    const bool skipped = c.note.starts_with("SKIPPED");
    if (!skipped) ++(c.passed ? passed : failed);
    checks.push_back({{"group", c.group},
                      {"name", c.name},
                      {"type", c.type},
                      {"result", skipped    ? "skipped"
                                 : c.passed ? "ok"
                                            : "failed"},
                      {"error", c.error},
                      {"tolerance", c.tolerance},
                      {"note", c.note}});
    if (!o.json) print(c);
  };
  std::fprintf(stderr, "ptrain %s selftest on %s\n", version().c_str(), str(test.memory->device()).c_str());
  for (const DType type : types_of(o, *test.memory)) {
    selftest_ops(test, type);
    selftest_training(test, type);
    selftest_nets(test, type, o.all);
    if (o.no_speed || test.slow) continue;
    if (!o.json) fmt::print("{:<32} {:<9} {:>12} {:>10} {:>11} {:>8}\n", "speed", "", "µs", "GB/s", "GFLOP/s", "share");
    for (const SelftestSpeed& s : selftest_speed(test, type)) {
      speeds.push_back({{"name", s.name},
                        {"type", s.type},
                        {"microseconds", s.microseconds},
                        {"gigabytes_per_s", s.gigabytes_per_s},
                        {"gigaflops", s.gigaflops},
                        {"share_of_peak", s.share}});
      if (!o.json)
        fmt::print("{:<32} {:<9} {:>12.1f} {:>10.2f} {:>11.2f} {:>7.1f}%\n", s.name, s.type, s.microseconds, s.gigabytes_per_s, s.gigaflops,
                   100 * s.share);
    }
  }
  if (o.json) {
    const Json j{{"version", version()},
                 {"device", str(test.memory->device())},
                 {"backend", test.memory->backend().name()},
                 {"memory_bytes", test.memory->backend().memory_info().total},
                 {"passed", failed == 0},
                 {"checks", checks},
                 {"speed", speeds}};
    std::cout << j.dump(2) << "\n";
  } else {
    fmt::print("{} checks passed, {} failed\n", passed, failed);
    if (!speeds.empty())
      fmt::print("share: of the most that any operation reached in this run, in bytes or in multiply-adds, whichever is nearer\n");
  }
  if (failed > 0)
    fail(ErrorKind::failed, "selftest on ", str(test.memory->device()), ": ", failed, " of ", passed + failed, " checks failed");
}

}  // namespace

std::unique_ptr<Command> selftest_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "selftest", "check every operation, the nets and training on a device, and measure its speed",
                                "  ptrain selftest --device cuda\n"
                                "  ptrain selftest --device cuda --json > selftest.json\n"
                                "  ptrain selftest --device cuda-sim --precision fp16");
  const auto o = std::make_shared<SelftestOptions>();
  command->option("--device", o->device, kDeviceHelp);
  command->option("--precision", o->precision, "fp32, bf16, fp16, or all that the device computes in");
  command->flag("--all", o->all, "on slow devices too: all five nets");
  command->flag("--no-speed", o->no_speed, "leave the measurements out");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
