//! The targets of the Makefile that operators know.

use super::broker;
use super::compose::Project;
use super::engine::engine;

#[test]
fn the_targets_send_batches_to_the_broker_of_env_and_clean_up() {
    let topics = broker::create_topics("make");
    let project = Project::with(&format!(
        "KAFKA_BOOTSTRAP={}\\nTOPIC_METRIC={}\\nTOPIC_TOKEN={}\\nSLEEP_SEC=0\\n",
        broker::bootstrap(),
        topics[0],
        topics[1]
    ));
    let ended = || {
        engine().wait_until("the batch has ended", || {
            project.shell("make ps").exits(0).stdout.contains("Exited (0)")
        });
    };
    project.shell("make doctor").exits(0).says("ok    metadata: 1 advertised broker");
    project.shell("make run-once").exits(0).says("40 of 40 planned records delivered");
    project.shell("make up").exits(0);
    ended();
    project.shell("make logs").exits(0).says("40 of 40 planned records delivered");
    project.shell("make restart").exits(0);
    ended();
    assert_eq!(broker::count(&topics[0]), 60);
    // The command line beats .env. What Compose shows of a container that ends at once is not always
    // all, and make's own line says enough: the broker of .env is there, as above.
    project.shell("make doctor KAFKA=127.0.0.1:1").exits(2).says("Error 69");
    project.shell("make down").exits(0);
    let left = project.shell("docker compose --profile kafka ps --all --quiet").text();
    assert_eq!(left, "");
}

#[test]
fn setup_installs_what_is_missing_and_says_what_is_there() {
    let project = Project::with("");
    project.shell("make setup").exits(0).says("are ready");
    engine().run(&["dpkg", "--remove", "docker-compose"]).exits(0);
    let setup = project.shell("make setup").exits(0);
    setup.says("installing docker-compose").says("are ready");
    // Debian 12 has no Compose that would do.
    let script = "mount=$PWD/packaging:/packaging:ro; \
                  docker run --rm --volume $mount $BUILD_IMAGE sh -c ' \
                  ln -s /bin/true /usr/bin/dockerd; /packaging/setup-docker'";
    let setup = project.shell(script).exits(1);
    setup.says(
        "Docker Compose 2.24.0 or newer is needed; this distribution offers docker-compose 1.29",
    );
}
